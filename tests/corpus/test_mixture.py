"""Shares of parts by weight."""

import numpy as np
import pytest

from stages.corpus import mixture
from stages.shared.errors import UserError


@pytest.mark.parametrize(
    ("sizes", "weights", "limit", "found"),
    [
        ((100, 100), (1, 1), None, (100, 100)),
        ((100, 30), (1, 1), None, (30, 30)),
        ((100, 30), (3, 1), None, (90, 30)),
        ((100, 30), (0.1, 0.1), None, (30, 30)),
        ((100, 30), (3, 1), 40, (30, 10)),
        ((100, 30), (3, 1), 1000, (90, 30)),
        ((7, 5), (2, 3), None, (3, 5)),
    ],
)
def test_the_scarcest_part_is_taken_whole(sizes, weights, limit, found):
    quotas = mixture.quotas(dict(zip("ab", sizes, strict=True)), dict(zip("ab", weights, strict=True)), limit)
    assert tuple(quotas.values()) == found


def test_a_part_without_passages_is_told():
    with pytest.raises(UserError, match=r"corpus\.parts\.b gives nothing"):
        mixture.quotas({"a": 3, "b": 0}, {"a": 1.0, "b": 1.0}, None)
    with pytest.raises(UserError, match=r"corpus\.parts\.b would give no passage"):
        mixture.quotas({"a": 3, "b": 9}, {"a": 9.0, "b": 1.0}, None)


def test_the_first_by_number_are_drawn_of_each_part():
    parts = np.array([0, 1, 0, 1, 0, 1, 1])
    orders = np.array([5, 9, 3, 2, 4, 1, 3], np.uint64)
    assert np.flatnonzero(mixture.draw(parts, orders, [2, 3])).tolist() == [2, 3, 4, 5, 6]
    assert mixture.draw(parts, orders, [0, 0]).sum() == 0
