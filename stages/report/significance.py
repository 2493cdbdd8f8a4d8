"""Which differences between models are sure: the tests of one benchmark, and what they say of the chosen model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from stages.report.cells import DASH, MINUS, points, ranks
from stages.report.inputs import Results
from stages.report.wording import GROUP_TITLES
from stages.shared.models import BASE_NAME
from stages.shared.tasks import BIAS, GROUPS


class Comparison(NamedTuple):
    difference: str
    interval: str
    p: str
    verdict: str  # better, worse or no
    randomised: str  # the p of the randomisation test, not corrected
    effect: str


class Compared(NamedTuple):
    model: str
    marks: list[str]
    comparisons: list[Comparison | None]  # one a reference; none with itself


class ComparedGroup(NamedTuple):
    name: str
    queries: int
    needed: int | None  # queries that would show a difference of a point or rank: the median of the comparisons
    rows: list[Compared]


class Significance(NamedTuple):
    references: list[str]
    tests: int  # of distinct pairs
    groups: list[ComparedGroup]


class Headline(NamedTuple):
    """A task group's numbers of the chosen model."""

    group: str
    chosen: str
    base: str
    against_base: Comparison | None
    against_best: Comparison | None


class RerankedRow(NamedTuple):
    """What a re-ranker makes of its own first stage: the values of both, and the test of their difference."""

    name: str
    first_stage: str
    before: str
    after: str
    comparison: Comparison


class RerankedGroup(NamedTuple):
    name: str
    rows: list[RerankedRow]


def significance(
    table: pl.DataFrame, names: list[str], marks: dict[str, list[str]], references: list[str]
) -> Significance:
    """The tests by group, then model, with a column for each of the `references`, as far as there are tests."""
    tested = set(table["reference"])
    references = [name for name in dict.fromkeys(references) if name in tested]
    by_pair = {(row["group"], row["model"], row["reference"]): row for row in table.iter_rows(named=True)}
    groups = []
    for group in table["group"].unique(maintain_order=True):
        own = {pair[1:]: row for pair, row in by_pair.items() if pair[0] == group}
        rows = [
            Compared(name, marks[name], [_found(own.get((name, reference))) for reference in references])
            for name in names
            if any((name, reference) in own for reference in references)
        ]
        queries, needed = ([row[key] for row in own.values() if row[key] is not None] for key in ("queries", "needed"))
        middle = sorted(needed)[len(needed) // 2] if needed else None
        groups.append(ComparedGroup(GROUP_TITLES[group], max(queries), middle, rows))
    tests = {(group, *sorted(pair)) for group, *pair in by_pair}
    return Significance(references, len(tests), groups)


def reranked(
    table: pl.DataFrame, first_stages: Mapping[str, str], values: dict[str, dict[str, float]]
) -> list[RerankedGroup]:
    """The tests of each re-ranked row against its own first stage, by group; `first_stages` {row: first stage}."""
    by_pair = {(row["group"], row["model"], row["reference"]): row for row in table.iter_rows(named=True)}
    groups = []
    for group in table["group"].unique(maintain_order=True):
        shown = ranks if group == BIAS else points
        rows = [
            RerankedRow(name, first, shown(values[first][group]), shown(values[name][group]), tested)
            for name, first in first_stages.items()
            if (tested := _found(by_pair.get((group, name, first))))
        ]
        if rows:
            groups.append(RerankedGroup(GROUP_TITLES[group], rows))
    return groups


def _found(row: dict[str, Any] | None) -> Comparison | None:
    return None if row is None else comparison(row)


def comparison(row: dict[str, Any]) -> Comparison:
    """A test's numbers in words: `row` as SIGNIFICANCE_TABLE has it."""
    bias = row["group"] == BIAS
    better = (row["difference"] < 0) if bias else (row["difference"] > 0)
    verdict = "no" if not row["significant"] else "better" if better else "worse"
    shown = ranks if bias else points
    p, effect = row["p_corrected"], row["effect"]
    return Comparison(
        shown(row["difference"], signed=True),
        f"{shown(row['low'], signed=True)} to {shown(row['high'], signed=True)}",
        _p(p),
        verdict,
        _p(row["p_random"]),
        DASH if effect is None else f"{effect:+.2f}".replace("-", MINUS),
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def headlines(compared: Significance, values: dict[str, dict[str, float]], results: Results) -> list[Headline]:
    """The chosen model beside the base, and against it and the best recipe."""
    found = {
        (group.name, row.model, reference): comparison
        for group in compared.groups
        for row in group.rows
        for reference, comparison in zip(compared.references, row.comparisons, strict=True)
    }
    own, base = values[results.chosen], values[BASE_NAME]
    return [
        Headline(
            GROUP_TITLES[group],
            (ranks if group == BIAS else points)(own[group]),
            (ranks if group == BIAS else points)(base[group]) if group in base else DASH,
            found.get((GROUP_TITLES[group], results.chosen, BASE_NAME)),
            found.get((GROUP_TITLES[group], results.chosen, results.best_recipe)),
        )
        for group in (*GROUPS, BIAS)
        if group in own
    ]
