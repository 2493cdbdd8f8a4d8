"""What training holds of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stages.report.cells import DASH, Cell, Heading, Table, TableRow
from stages.schemas.contamination import ContaminationShares

HIGH = 0.01  # a share of a benchmark that is worth a warning
HELD_TEXTS = ("queries", "passages")


class Held(NamedTuple):
    """The greatest shares of a benchmark that are in training sets."""

    queries: str
    passages: str
    high: bool


def table(shares: ContaminationShares, recipes: list[str]) -> Table:
    """Of each benchmark, in per cent, what each recipe trains on: the most over languages."""
    headings = [Heading(benchmark, 3) for benchmark in shares]
    rows = [
        TableRow(recipe, "recipe", [], [cell for by_recipe in shares.values() for cell in _held(by_recipe[recipe])])
        for recipe in recipes
    ]
    return Table(["queries", "passages", "as negatives"] * len(shares), rows, headings)


def _held(by_lang: Mapping[str, Mapping[str, float]]) -> list[Cell]:
    most = [_most([by_lang], key) for key in (*HELD_TEXTS, "passages_negative")]
    return [Cell(percent(value), high=value is not None and value > HIGH) for value in most[:2]] + [
        Cell(percent(most[2]))
    ]


def held(by_recipe: Mapping[str, Mapping[str, Mapping[str, float]]], recipes: Iterable[str]) -> Held:
    """The most that any of `recipes` trains on."""
    own = [by_recipe[recipe] for recipe in recipes]
    queries, passages = (_most(own, key) for key in HELD_TEXTS)
    return Held(percent(queries), percent(passages), max(queries or 0, passages or 0) > HIGH)


def _most(cases: Iterable[Mapping[str, Mapping[str, float]]], key: str) -> float | None:
    found = [shares[key] for by_lang in cases for shares in by_lang.values() if key in shares]
    return max(found, default=None)


def percent(share: float | None) -> str:
    """0, or two decimals, but never 0.00."""
    if not share:
        return DASH if share is None else "0"
    return f"{100 * share:.2f}" if share >= 0.00005 else "< 0.01"
