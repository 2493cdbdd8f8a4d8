"""What models are worth, and which were chosen: metrics/summary.json."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

SUMMARY_FILE = Path("metrics/summary.json")
# What it has beside the benchmarks, of each of which it has {model: {mono, cross, multi, language_bias,
# language_bias_median}}. `leads` has, for best_recipe and chosen_model, how far each is ahead of the next; `choice`
# how the model was chosen.
SUMMARY_KEYS = ("metric", "selected_on", "best_recipe", "chosen_model", "leads", "choice", "contamination")


class Lead(TypedDict):
    """Of a model over the next best, on the benchmark on which models are chosen, by what they are chosen by.

    Attributes:
        over: the next best.
        standard_error: of the lead over queries; None for a single query.
    """

    over: str
    lead: float
    standard_error: float | None


class Choice(TypedDict):
    """How a model was chosen: by which rule, `compare.choose` says.

    Attributes:
        best: by the objective, of those that hold every constraint.
        tied: with it, the better first; if any is cheaper, the cheapest was chosen.
        dropped: by each constraint.
        objective: of each model, the best first.
    """

    best: str
    tied: list[str]
    dropped: dict[str, list[str]]
    objective: dict[str, float]


def ahead(lead: Lead) -> str:
    """`0.18 ± 0.38 points ahead of joint`, or behind it."""
    error = lead["standard_error"]
    around = "" if error is None else f" ± {100 * error:.2f}"
    return f"{100 * abs(lead['lead']):.2f}{around} points {'behind' if lead['lead'] < 0 else 'ahead of'} {lead['over']}"
