"""lengths: batches of one length and one shape for each length."""

import numpy as np
import pytest

from stages.shared.lengths import about_as_long, equally_long, padded_alike

LENGTHS = np.array([3, 5, 3, 3, 5, 3, 3])


@pytest.mark.parametrize(
    ("tokens", "multiple", "wanted"),
    [
        (6, 1, [[0, 2], [3, 5], [6, 6], [1], [4]]),
        (100, 1, [[0, 2, 3, 5, 6, *[6] * 28], [1, *[4] * 19]]),
        (6, 4, [[0, 2, 3, 5], [6, 6, 6, 6], [1, 4, 4, 4]]),
        (25, 4, [[0, 2, 3, 5, 6, 6, 6, 6], [1, 4, 4, 4]]),
    ],
)
def test_batches_are_equally_long_and_filled_up(tokens, multiple, wanted):
    found = list(equally_long(LENGTHS, tokens, multiple))
    assert found == wanted
    assert all(len(set(LENGTHS[batch])) == 1 for batch in found)


def test_the_width_of_a_text_and_the_rows_beside_it_follow_from_its_length_alone():
    lengths = np.array([3, 16, 17, 5, 32, 40, 16, 33])
    assert list(padded_alike(lengths, 32, 40)) == [
        (16, [1, 6]),
        (16, [0, 3]),
        (32, [4]),
        (32, [2]),
        (40, [5]),
        (40, [7]),
    ]
    assert list(padded_alike(lengths[:3], 48, 512)) == [(16, [1, 1, 1]), (16, [0, 0, 0]), (32, [2])]
    assert list(padded_alike(lengths[5:6], 48, None)) == [(48, [0])]


def test_batches_for_training_rise_in_length_within_their_tokens():
    found = [batch.tolist() for batch in about_as_long(np.array([9, 2, 3, 2, 30, 4]), 9)]
    assert found == [[1, 3, 2], [5], [0], [4]]
    assert [batch.tolist() for batch in about_as_long(np.array([9, 2, 3, 2]), 100)] == [[1, 3, 2, 0]]
    assert [batch.tolist() for batch in about_as_long(np.array([9, 2, 3, 2]), rows=2)] == [[1, 3], [2, 0]]
