"""Rounding: the digits of each measure, ties in decimals, whatever the order of a sum."""

import math

import pytest

from stages.shared.rounding import rounded


def test_metrics_have_five_digits_and_ranks_two():
    assert rounded(0.123456, "ndcg@10") == 0.12346
    assert rounded(0.123456, "mono") == 0.12346
    assert rounded(53.9466666, "language_bias") == 53.95
    assert rounded(3.1234, "language_bias_median") == 3.12


@pytest.mark.parametrize("value", [366.515, math.nextafter(366.515, 0), math.nextafter(366.515, 1000)])
def test_a_tie_goes_away_from_zero_on_either_side_of_it(value):
    assert rounded(value, "language_bias") == 366.52
    assert rounded(-value, "language_bias") == -366.52


def test_what_is_near_a_tie_is_none():
    assert rounded(0.123454999, "ndcg@10") == 0.12345
    assert rounded(366.5149, "language_bias") == 366.51


def test_nothing_has_no_sign():
    assert str(rounded(-1e-9, "ndcg@10")) == "0.0"
