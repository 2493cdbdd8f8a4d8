"""What models are worth, and which were chosen: metrics/summary.json."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

SUMMARY_FILE = Path("metrics/summary.json")
# What it has beside the benchmarks, of each of which it has {model: {mono, cross, multi, language_bias,
# language_bias_median}}. `leads` has, for best_recipe and chosen_model, how far each is ahead of the next.
SUMMARY_KEYS = ("metric", "selected_on", "best_recipe", "chosen_model", "leads", "contamination")


class Lead(TypedDict):
    """Of a model over the next best, on the benchmark on which models are chosen, by what they are chosen by.

    Attributes:
        over: the next best.
        standard_error: of the lead over queries; None for a single query.
    """

    over: str
    lead: float
    standard_error: float | None


def ahead(lead: Lead) -> str:
    """`0.18 ± 0.38 points ahead of joint`."""
    error = lead["standard_error"]
    around = "" if error is None else f" ± {100 * error:.2f}"
    return f"{100 * lead['lead']:.2f}{around} points ahead of {lead['over']}"
