"""What the training sets hold of the benchmarks, as `contamination` measured it."""

from __future__ import annotations

from collections.abc import Iterable

from stages.schemas.contamination import CONTAMINATION_METRICS, ContaminationShares
from stages.shared import tables
from stages.shared.errors import UserError

COUNTED = ("queries", "passages")


def read(benchmarks: Iterable[str], recipes: list[str]) -> ContaminationShares:
    """The measured shares; raises `UserError` if they are missing or not of this study."""
    shares: ContaminationShares = tables.read_json(CONTAMINATION_METRICS)
    for benchmark in benchmarks:
        for recipe in recipes:
            if recipe not in shares.get(benchmark, {}):
                raise UserError(f"{CONTAMINATION_METRICS} says nothing of {recipe} on {benchmark}: run `dvc repro`")
    return shares


def most(shares: ContaminationShares, benchmarks: Iterable[str]) -> dict[str, dict[str, float]]:
    """For each benchmark the greatest share of its queries, and of its passages, over recipes and languages."""
    return {
        benchmark: {
            plural: max(found.get(plural, 0.0) for by_lang in shares[benchmark].values() for found in by_lang.values())
            for plural in COUNTED
        }
        for benchmark in benchmarks
    }
