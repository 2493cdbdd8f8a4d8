"""Benchmarks by label: how well each model finds a query's label, what its scores are worth, what it takes for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from stages.report import charts
from stages.report.cells import DASH, Cell, Heading, Table, TableRow, column, count
from stages.shared.languages import language_name
from stages.shared.models import BASE_NAME
from stages.shared.tasks import POOL, Task

LABEL_METRICS = {
    "R@1": "accuracy@1",
    "R@3": "accuracy@3",
    "R@5": "accuracy@5",
    "MRR": "mrr",
    "Macro": "macro",
    "AUROC": "auroc",
    "ECE": "ece",
}
REJECTION = ("answered", "precision")
# Of queries that no entry fits.
OUT_OF_SCOPE = ("rejected", "out_of_scope_auroc")
# Cells of a row: R@1, answered, precision.
ANSWERING = (0, len(LABEL_METRICS) + 1, len(LABEL_METRICS) + 2)
HEADINGS = [Heading("Entries of the label", 5), Heading("Top score", 2), Heading("With a threshold", 3)]

# Of one benchmark, as `labels` wrote it: {"tasks": {task: counts}, "models": {model: numbers}}
Told = Mapping[str, Any]


class TaskByLabel(NamedTuple):
    """One task of a benchmark by label."""

    name: str
    words: str
    table: Table
    categories: Table | None  # None: labels have no parts
    reliability: charts.Reliability | None  # of the chosen model; None: its scores were not mapped


class Confusion(NamedTuple):
    label: str
    answer: str
    times: str
    example: str


class ByLabel(NamedTuple):
    name: str
    selecting: bool
    tasks: list[TaskByLabel]
    chosen: str
    threshold: str | None  # of the chosen model; None: none is precise enough, or none could be chosen
    out_of_scope: bool  # whether some queries are such that no entry fits
    mapped: bool  # whether models are chosen on a benchmark by label, on which alone there is a threshold to choose
    confusions: list[Confusion]  # of the chosen model

    @property
    def answering(self) -> list[list[Cell]]:
        """A row for each task: how often the chosen model is right, answers at its threshold, and is right then."""
        return [
            [Cell(text) for text in (self.name, task.name, *(row.cells[i].text for i in ANSWERING))]
            for task in self.tasks
            for row in task.table.rows
            if row.name == self.chosen
        ]

    @property
    def confused(self) -> list[list[Cell]]:
        """A row for each of the confusions."""
        return [[Cell(text) for text in confusion] for confusion in self.confusions]


def by_label(name: str, selecting: bool, models: list[TableRow], chosen: str, told: Told, known: list[Task]) -> ByLabel:
    """What is shown of the benchmark `name`; its tasks are some of `known`, `models` have each one's kind and marks."""
    own = told["models"][chosen]
    tasks = [
        TaskByLabel(
            task.name,
            _words(task, told["tasks"][task.name]),
            _table(task.name, models, told),
            _categories(task.name, list(dict.fromkeys([BASE_NAME, chosen])), told),
            _reliability(own["tasks"][task.name]["bins"]),
        )
        for task in known
        if task.name in told["tasks"]
    ]
    confusions = [Confusion(label, answer, count(number), text) for label, answer, number, text in own["confusions"]]
    return ByLabel(
        name,
        selecting,
        tasks,
        chosen,
        _typed(own["threshold"]),
        any("out_of_scope" in counts for counts in told["tasks"].values()),
        own["probability"] is not None,
        confusions,
    )


def _words(task: Task, counts: Mapping[str, Any]) -> str:
    """What is asked and searched: `288 Korean queries of 48 labels on English entries`."""
    searched = "the entries of all languages" if task.corpus == POOL else f"{language_name(task.corpus)} entries"
    asked = f"{counts['queries']:,} {language_name(task.query)} queries of {counts['labels']:,} labels"
    beyond = f" and {counts['out_of_scope']:,} that no entry fits" if "out_of_scope" in counts else ""
    return f"{asked}{beyond} on {searched}"


def _table(task: str, models: list[TableRow], told: Told) -> Table:
    values = [told["models"][model.name]["tasks"][task] for model in models]
    columns = [column([row[key] for row in values], low_is_best=key == "ece") for key in LABEL_METRICS.values()]
    columns.append([Cell(_typed(told["models"][model.name]["threshold"]) or DASH) for model in models])
    # More answers at the price of more wrong ones, or the other way round: neither column has a best value.
    columns += [[Cell(cell.text) for cell in column([row[key] for row in values])] for key in REJECTION]
    header, headings = [*LABEL_METRICS, "Threshold", *(key.capitalize() for key in REJECTION)], HEADINGS
    if "out_of_scope" in told["tasks"][task]:
        columns += [column([row[key] for row in values]) for key in OUT_OF_SCOPE]
        header, headings = [*header, "Rejected", "AUROC"], [*HEADINGS, Heading("Out of scope", len(OUT_OF_SCOPE))]
    rows = [model._replace(cells=[cells[i] for cells in columns]) for i, model in enumerate(models)]
    return Table(header, rows, headings)


def _typed(threshold: float | None) -> str | None:
    """A threshold as it is typed: no digit less, for a higher one would reject what it was chosen to accept."""
    return None if threshold is None else f"{threshold:.5f}".rstrip("0")


def _categories(task: str, names: list[str], told: Told) -> Table | None:
    sizes = told["tasks"][task].get("categories")
    if not sizes:
        return None
    rows = []
    for category, size in sizes.items():
        cells = column([told["models"][name]["tasks"][task]["categories"][category] for name in names])
        rows.append(TableRow(category, "", [], [Cell(count(size)), *cells]))
    return Table(["queries", *names], rows, [])


def _reliability(bins: list[list[float | None]]) -> charts.Reliability | None:
    return charts.reliability([(p, accuracy) for _, p, accuracy in bins if p is not None and accuracy is not None])
