"""Planned contrasts: what models are worth by domain, which differ surely, and what each cost to train."""

from __future__ import annotations

from typing import Any, NamedTuple

from stages.report.cells import DASH, Cell, Table, TableRow, column, count, points, ranks
from stages.report.inputs import Measured
from stages.report.significance import Comparison, comparison
from stages.report.study import Study
from stages.report.wording import GROUP_TITLES
from stages.schemas.comparison import ALL_DOMAINS
from stages.shared.tasks import BIAS, GROUPS

EVERY_QUERY = "all"


class TestedPair(NamedTuple):
    """Two models on the queries about a domain."""

    domain: str
    group: str
    model: str
    reference: str
    value: str
    reference_value: str
    comparison: Comparison


class ShownContrast(NamedTuple):
    """A contrast on one benchmark: all its models by domain and task group, and its tests."""

    name: str
    values: Table
    pairs: list[TestedPair]


def contrasts(study: Study, measured: Measured) -> list[ShownContrast]:
    """Those of the study, on the benchmark that was `measured`."""
    means = {(row["domain"], row["model"]): row for row in measured.domains.iter_rows(named=True)}
    domains = list(dict.fromkeys(domain for domain, _ in means))
    shown = []
    for name, contrast in study.compare.contrasts.items():
        rows = []
        for domain in domains:
            for group in (*GROUPS, BIAS):
                values = [means[domain, model][group] for model in contrast.shown]
                if any(value is not None for value in values):
                    cells = column(values, plain=group == BIAS, low_is_best=group == BIAS)
                    queries = Cell(f"{means[domain, contrast.shown[0]]['queries']:,}")
                    rows.append(TableRow(_domain(domain), "", [], [Cell(GROUP_TITLES[group]), queries, *cells]))
        pairs = [
            TestedPair(
                _domain(row["domain"]),
                GROUP_TITLES[row["group"]],
                row["model"],
                row["reference"],
                _value(means[row["domain"], row["model"]][row["group"]], row["group"]),
                _value(means[row["domain"], row["reference"]][row["group"]], row["group"]),
                comparison(row),
            )
            for row in measured.contrasts.iter_rows(named=True)
            if row["contrast"] == name
        ]
        shown.append(ShownContrast(name, Table(["tasks", "queries", *contrast.shown], rows, []), pairs))
    return shown


def costs_table(study: Study, costs: dict[str, dict[str, Any]]) -> Table:
    """What the models of the contrasts cost to train; no row for what is no model of the study."""
    shown = dict.fromkeys(name for contrast in study.compare.contrasts.values() for name in contrast.shown)
    rows = []
    for name in (name for name in shown if name in costs):
        told = costs[name]
        passes = f"{told['examples'] / told['rows']:.1f}" if told["rows"] else DASH
        numbers = [count(told[key]) for key in ("steps", "examples", "rows")]
        cells = [", ".join(told["recipes"]) or DASH, *numbers, passes]
        rows.append(TableRow(name, study.kind(name), [], [Cell(text) for text in cells]))
    return Table(["recipes", "steps", "examples", "rows", "passes"], rows, [])


def _domain(name: str) -> str:
    return EVERY_QUERY if name == ALL_DOMAINS else name


def _value(value: float, group: str) -> str:
    return (ranks if group == BIAS else points)(value)
