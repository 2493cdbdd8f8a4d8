"""How what is measured is rounded, in one place.

A mean of ranks is often a tie in its last digit (366.515), which the last bit of a sum would send either way: with the
order in which it was added up, and so with the number of threads. Ties are therefore told in decimals, and go away from
zero as by hand.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from stages.schemas.scores import BIAS_MEDIAN
from stages.shared.tasks import BIAS

# Of metrics, which are between 0 and 1; and of what is counted in ranks.
SCORE_PLACES = 5
RANK_PLACES = 2
# Further digits that are looked at: what a sum's order changes lies beyond them.
BEYOND = 6


def rounded(value: float, measure: str = "") -> float:
    """`value`, a mean or difference by `measure`: language bias, or else a metric or group of tasks."""
    places = RANK_PLACES if measure in (BIAS, BIAS_MEDIAN) else SCORE_PLACES
    exact = Decimal(f"{value:.{places + BEYOND}f}")
    # What rounds to zero has no sign.
    return float(exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)) + 0.0
