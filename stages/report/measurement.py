"""One benchmark's measurement: every model's scores, their trade-off and bias, and how sure the differences are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from stages.report import charts, contamination, languages, recipes
from stages.report.cells import Cell, Heading, Table, TableRow, column, ranks
from stages.report.contamination import Held
from stages.report.contrasts import ShownContrast, contrasts
from stages.report.inputs import Measured, Results
from stages.report.significance import Headline, RerankedGroup, Significance, headlines, reranked, significance
from stages.report.study import Study
from stages.report.wording import GROUP_TITLES, metric_title, source
from stages.schemas.comparison import BIAS_TABLE
from stages.shared.compositions import selected
from stages.shared.models import BASE_NAME
from stages.shared.tasks import BIAS, GROUPS, too_many


class Bar(NamedTuple):
    """A model's language bias over queries: the mean, its interval and the median."""

    name: str
    marks: list[str]
    text: str
    interval: str
    median: str
    share: float  # of the longest bar, in per cent
    chosen: bool


class Measurement(NamedTuple):
    """Everything about one benchmark."""

    name: str
    metric: str
    source: str
    selecting: bool
    table: Table
    scatter: charts.Scatter | None
    matrices: list[tuple[str, Table]]  # of more languages than columns can hold: models' tasks
    bars: list[Bar]
    languages: Table | None  # what else the pool shows of them
    preferences: Table | None  # of the chosen model
    significance: Significance
    reranked: list[RerankedGroup]  # each re-ranker against its own first stage
    contrasts: list[ShownContrast]
    compositions: Table | None
    metrics: Table
    headlines: list[Headline]
    better: list[str]  # groups in which the chosen model differs significantly from the best recipe
    worse: list[str]
    held: Held | None  # by the chosen model's training sets; None: it has none
    trained_on: Held  # by any recipe's


def measurement(study: Study, results: Results, name: str) -> Measurement:
    """One benchmark's tables and charts."""
    measured = results.benchmarks[name]
    values = model_values(measured, study.rows)
    facts = {row["model"]: row for row in measured.tradeoff.iter_rows(named=True)}
    marks = {model: _marks(model, facts, results) for model in study.rows}
    present = [t for t in study.tasks if any(t.name in row for row in values.values())]
    groups = {group: [t.name for t in present if t.group == group and not too_many(present)] for group in GROUPS}
    some = list(dict.fromkeys([BASE_NAME, results.best_recipe, results.chosen])) if too_many(present) else []
    compared = significance(measured.significance, study.rows, marks, [BASE_NAME, results.best_recipe])
    shown = headlines(compared, values, results)
    against_best = [(h.group, h.against_best.verdict) for h in shown if h.against_best]
    trained = [part.name for part in recipes.chosen(study, results.chosen).parts if part.name in study.recipes]
    held = results.contamination[name]
    return Measurement(
        name=name,
        metric=metric_title(study.benchmarks[name].metric or study.compare.metric),
        source=source(study.benchmarks[name], name in results.labels),
        selecting=name == study.compare.select_on,
        table=results_table(study, values, marks, groups),
        scatter=tradeoff_chart(values, facts, results.chosen),
        matrices=[(model, languages.matrix(values[model], present)) for model in some],
        bars=bias_bars(measured.bias, marks, results.chosen),
        languages=languages.measures(results, name, study.rows),
        preferences=languages.preferences(results, name, results.chosen),
        significance=compared,
        reranked=reranked(measured.significance, {name: row.first_row for name, row in study.rerank.items()}, values),
        contrasts=contrasts(study, measured),
        compositions=compositions_table(study, values, [t for names in groups.values() for t in names] or GROUPS),
        metrics=metrics_table(results, name),
        headlines=shown,
        better=[group for group, verdict in against_best if verdict == "better"],
        worse=[group for group, verdict in against_best if verdict == "worse"],
        held=contamination.held(held, trained) if trained else None,
        trained_on=contamination.held(held, study.recipes),
    )


def model_values(measured: Measured, names: list[str]) -> dict[str, dict[str, float]]:
    """{model: {group, language_bias or task: value}}, without those that are missing."""
    values: dict[str, dict[str, float]] = {name: {} for name in names}
    for row in measured.tradeoff.iter_rows(named=True):
        if row["model"] in values:
            values[row["model"]] |= {key: row[key] for key in (*GROUPS, BIAS) if row[key] is not None}
    for model, task, value in measured.tasks.iter_rows():
        if model in values and value is not None:
            values[model][task] = value
    return values


def results_table(
    study: Study, values: dict[str, dict[str, float]], marks: dict[str, list[str]], groups: dict[str, list[str]]
) -> Table:
    """All models: the groups' means and language bias first, for they fit on a phone, then every task."""
    keys = [*GROUPS, BIAS, *(task for names in groups.values() for task in names)]
    columns = {
        key: column([row.get(key) for row in values.values()], plain=key == BIAS, low_is_best=key == BIAS)
        for key in keys
    }
    rows = [
        TableRow(name, study.kind(name), marks[name], [columns[key][i] for key in keys])
        for i, name in enumerate(values)
    ]
    headings = [Heading("Means", len(GROUPS) + 1)]
    headings += [Heading(f"{GROUP_TITLES[group]} tasks", len(names)) for group, names in groups.items() if names]
    return Table([GROUP_TITLES.get(key, key) for key in keys], rows, headings)


def compositions_table(study: Study, values: dict[str, dict[str, float]], names: Sequence[str]) -> Table | None:
    """The recipes of one composition: which language in which slot makes which task, or group of tasks, good."""
    read = {name: selected(recipe.compositions, study.languages) for name, recipe in study.recipes.items()}
    single = {name: slots[0] for name, slots in read.items() if len(slots) == 1}
    if not single:
        return None
    columns = [column([values[name].get(task) for name in single], heat=True) for task in names]
    rows = [
        TableRow(name, "", [], [*(Cell(slot) for slot in slots), *(cells[i] for cells in columns)])
        for i, (name, slots) in enumerate(single.items())
    ]
    headings = [Heading("Language of", 3), Heading("Task", len(names))]
    return Table(["query", "positive", "negatives", *(GROUP_TITLES.get(task, task) for task in names)], rows, headings)


def metrics_table(results: Results, benchmark: str) -> Table:
    """Every metric that was scored, of the base, the best recipe and the chosen model."""
    names = list(dict.fromkeys([BASE_NAME, results.best_recipe, results.chosen]))
    scores = {name: results.scores[name].get(benchmark, {}) for name in names}
    groups = [group for group in GROUPS if any(group in score for score in scores.values())]
    metrics = list(dict.fromkeys(m for score in scores.values() for group in groups for m in score.get(group, {})))
    rows = []
    for group in groups:
        columns = [column([scores[name].get(group, {}).get(metric) for name in names]) for metric in metrics]
        rows += [
            TableRow(name, "", [], [Cell(GROUP_TITLES[group]), *(cells[i] for cells in columns)])
            for i, name in enumerate(names)
        ]
    return Table(["Tasks", *(metric_title(m) for m in metrics)], rows, [])


def tradeoff_chart(
    values: dict[str, dict[str, float]], facts: dict[str, dict[str, Any]], chosen: str
) -> charts.Scatter | None:
    """Mono against Cross, for a benchmark that has both."""
    drawn = [
        charts.Point(
            label=name,
            x=100 * row["mono"],
            y=100 * row["cross"],
            shape="qnm" if facts[name]["query_negatives_match"] else facts[name]["kind"],
            front=facts[name]["pareto"],
            chosen=name == chosen,
        )
        for name, row in values.items()
        if "mono" in row and "cross" in row
    ]
    return charts.scatter(drawn) if drawn else None


def bias_bars(table: pl.DataFrame, marks: dict[str, list[str]], chosen: str) -> list[Bar]:
    """A bar for each model, the least biased first."""
    rows = {name: numbers for name, *numbers in table.select(*BIAS_TABLE).iter_rows() if name in marks}
    longest = max((mean for mean, *_ in rows.values()), default=0.0) or 1.0
    return [
        Bar(
            name,
            marks[name],
            ranks(mean),
            f"{ranks(low)} to {ranks(high)}",
            ranks(median),
            round(100 * mean / longest, 1),
            name == chosen,
        )
        for name, (mean, low, high, median) in sorted(rows.items(), key=lambda row: row[1][0])
    ]


def _marks(name: str, facts: dict[str, dict[str, Any]], results: Results) -> list[str]:
    own = facts.get(name, {})
    given = {
        "chosen": name == results.chosen,
        "best recipe": name == results.best_recipe,
        "Pareto front": own.get("pareto"),
        "QNM": own.get("query_negatives_match"),
    }
    return [mark for mark, holds in given.items() if holds]
