"""From numbers to what the templates show: ordered, rounded, marked and worded, with nothing left to decide there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stages.report import charts, labels, provenance
from stages.report.cells import NONE, Cell, Heading, Row, Table, column, count, merged_order, points
from stages.report.inputs import Measured, Results
from stages.shared import languages, models
from stages.shared.languages import BIAS, GROUPS, Composition, Task, composition, language_name, tasks
from stages.shared.params import BASE, Base, Benchmark, Compare, Encoder, Group, Merge, Recipe, Report, Train

TITLES = {"mono": "Mono", "cross": "Cross", "multi": "Multi", BIAS: "Bias"}
METRICS = {"ndcg": "nDCG", "mrr": "MRR", "map": "MAP", "recall": "Recall", "accuracy": "Accuracy"}
CORRECTIONS = {"holm": "Holm's", "bonferroni": "Bonferroni's"}
SOURCES = {
    "beir": "the BEIR folder",
    "belebele": "Belebele in",
    "strategyqa": "StrategyQA in",
    "xquad-r": "XQuAD-R in",
    "mlqa-r": "MLQA-R in",
    "miracl": "MIRACL in",
    "mmarco": "mMARCO in",
    "mkqa": "MKQA in",
    "feverous": "FEVEROUS in",
    "intents": "labelled texts in",
    "massive": "MASSIVE in",
    "mtop": "MTOP in",
    "hinglish-top": "Hinglish-TOP in",
}


class Study(NamedTuple):
    """The params the report reads, in the order in which its `main` names them."""

    report: Report
    languages: list[str]
    recipes: dict[str, Recipe]
    merges: dict[str, Merge]
    benchmarks: dict[str, Benchmark]
    compare: Compare
    base: Base
    teacher: Encoder
    train: Train
    seed: int
    precision: float  # that a threshold of rejection reaches

    @property
    def models(self) -> list[str]:
        return [BASE, *self.recipes, *self.merges]


class Bar(NamedTuple):
    name: str
    marks: list[str]
    text: str
    share: float  # of the longest bar, in per cent
    chosen: bool


class Comparison(NamedTuple):
    difference: str
    interval: str
    p: str
    verdict: str  # better, worse or no


class Compared(NamedTuple):
    model: str
    marks: list[str]
    comparisons: list[Comparison | None]  # one a reference; none with itself


class ComparedGroup(NamedTuple):
    name: str
    queries: int
    rows: list[Compared]


class Significance(NamedTuple):
    references: list[str]
    tests: int
    groups: list[ComparedGroup]


class Headline(NamedTuple):
    """A task group's numbers of the chosen model."""

    group: str
    chosen: str
    base: str
    against_base: Comparison | None
    against_best: Comparison | None


class Measurement(NamedTuple):
    """Everything about one benchmark."""

    name: str
    metric: str
    source: str
    selecting: bool
    table: Table
    scatter: charts.Scatter | None
    bars: list[Bar]
    significance: Significance
    compositions: Table | None
    metrics: Table
    headlines: list[Headline]
    better: list[str]  # groups in which the chosen model differs significantly from the best recipe
    worse: list[str]
    held: provenance.Held | None  # by the chosen model's training sets; None: it has none
    trained_on: provenance.Held  # by any recipe's


class Part(NamedTuple):
    """A recipe, or what a merge takes of one: its name, share of the weights and compositions in words."""

    name: str
    share: str | None
    compositions: list[tuple[str, str]]
    negatives: str | None
    synthetic: str | None  # the share of its rows whose queries a model thought of; None: as they come


class Chosen(NamedTuple):
    name: str
    kind: str
    folder: str
    method: str | None  # of a merge
    parts: list[Part]


class Page(NamedTuple):
    title: str
    languages: list[tuple[str, str]]
    chosen_by: str
    select_on: str
    correction: str
    confidence: str
    alpha: str
    resamples: str
    counts: dict[str, int]
    best_recipe: str
    chosen: Chosen
    reported: list[Measurement]  # the benchmarks that had no part in the choice
    selecting: Measurement
    by_label: list[labels.ByLabel]  # in the order of `measurements`
    precision: str
    curves: charts.Curves | None
    synthesis: Table
    negatives: Table
    corpus: provenance.Corpus
    contamination: Table
    encoders: list[provenance.Shown]
    base: str
    base_is_static: bool
    base_hub_id: str | None
    settings: list[tuple[str, list[tuple[str, str]]]]
    recipes: list[Part]
    merges: list[tuple[str, str, str]]
    seed: int

    @property
    def measurements(self) -> list[Measurement]:
        return [*self.reported, self.selecting]

    @property
    def headline_metric(self) -> str:
        """The metric of the benchmarks that show what was chosen, if it is one."""
        metrics = {m.metric for m in self.reported or [self.selecting]}
        return metrics.pop() if len(metrics) == 1 else "Scores"


def page(study: Study, results: Results) -> Page:
    """Everything that the templates show."""
    compare = study.compare
    measured = {name: measurement(study, results, name) for name in study.benchmarks}
    shown_base = _shown_path(study.base.name)
    static = study.base.name == "static"
    return Page(
        title=study.report.title,
        languages=[(tag, language_name(tag)) for tag in study.languages],
        chosen_by=_chosen_by(measured[compare.select_on]),
        select_on=compare.select_on,
        correction=CORRECTIONS[compare.correction],
        confidence=f"{100 * compare.confidence:g}",
        alpha=f"{1 - compare.confidence:.3g}",
        resamples=f"{compare.resamples:,}",
        counts={"models": len(study.models), "recipes": len(study.recipes), "merges": len(study.merges)},
        best_recipe=results.best_recipe,
        chosen=chosen(study, results.chosen),
        reported=[m for m in measured.values() if not m.selecting],
        selecting=measured[compare.select_on],
        by_label=by_label(study, results, list(measured.values())),
        precision=f"{100 * study.precision:g}",
        curves=charts.curves(results.losses),
        synthesis=synthesis_table(results.synthesis),
        negatives=negatives_table(results.negatives),
        corpus=provenance.corpus(results.corpus),
        contamination=provenance.contamination(results.contamination, list(study.recipes)),
        encoders=[
            provenance.encoder("base", study.base, results.encoders["base"]),
            provenance.encoder("teacher", study.teacher, results.encoders["teacher"]),
        ],
        base=shown_base,
        base_is_static=static,
        base_hub_id=None if static or Path(study.base.name).exists() or "/" not in study.base.name else shown_base,
        settings=settings(study),
        recipes=[part(study, name) for name in study.recipes],
        merges=[(name, merge.method, _weights(merge)) for name, merge in study.merges.items()],
        seed=study.seed,
    )


def measurement(study: Study, results: Results, name: str) -> Measurement:
    """One benchmark's tables and charts."""
    measured = results.benchmarks[name]
    values = model_values(measured, study.models)
    facts = {row["model"]: row for row in measured.tradeoff.iter_rows(named=True)}
    marks = {model: _marks(model, facts, results) for model in study.models}
    present = [t for t in _tasks(study) if any(t.name in row for row in values.values())]
    groups = {group: [t.name for t in present if t.group == group] for group in GROUPS}
    compared = significance(measured.significance, study.models, marks)
    headlines = _headlines(compared, values, results)
    against_best = [(h.group, h.against_best.verdict) for h in headlines if h.against_best]
    trained = [part.name for part in chosen(study, results.chosen).parts if part.name in study.recipes]
    held = results.contamination[name]
    return Measurement(
        name=name,
        metric=metric_title(study.benchmarks[name].metric or study.compare.metric),
        source=_source(study.benchmarks[name], name in results.labels),
        selecting=name == study.compare.select_on,
        table=results_table(study, values, marks, groups),
        scatter=tradeoff_chart(values, facts, results.chosen),
        bars=bias_bars(values, marks, results.chosen),
        significance=compared,
        compositions=compositions_table(study, values, [t for names in groups.values() for t in names]),
        metrics=metrics_table(results, name),
        headlines=headlines,
        better=[group for group, verdict in against_best if verdict == "better"],
        worse=[group for group, verdict in against_best if verdict == "worse"],
        held=provenance.held(held, trained) if trained else None,
        trained_on=provenance.held(held, study.recipes),
    )


def by_label(study: Study, results: Results, measured: list[Measurement]) -> list[labels.ByLabel]:
    """Of the benchmarks by label, the one that models are chosen on last."""
    known = _tasks(study)
    return [
        labels.by_label(m.name, m.selecting, m.table.rows, results.chosen, results.labels[m.name], known)
        for m in sorted(measured, key=lambda m: m.selecting)
        if m.name in results.labels
    ]


def _tasks(study: Study) -> list[Task]:
    """Every task that the study's benchmarks may have."""
    spoken = languages.measured(study.languages, study.benchmarks)
    return tasks(spoken, spoken)


def _chosen_by(selecting: Measurement) -> str:
    """What models were chosen by: the mean of Mono and Cross, or the one that the benchmark has."""
    groups = [TITLES[group] for group in ("mono", "cross") if TITLES[group] in {h.group for h in selecting.headlines}]
    return f"{'mean of ' if len(groups) > 1 else ''}{' and '.join(groups)} {selecting.metric}"


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
        Row(name, _kind(study, name), marks[name], [columns[key][i] for key in keys]) for i, name in enumerate(values)
    ]
    headings = [Heading("Means", len(GROUPS) + 1)]
    headings += [Heading(f"{TITLES[group]} tasks", len(names)) for group, names in groups.items() if names]
    return Table([TITLES.get(key, key) for key in keys], rows, headings)


def compositions_table(study: Study, values: dict[str, dict[str, float]], names: list[str]) -> Table | None:
    """The recipes of one composition: which language in which slot makes which task good."""
    single = {
        name: composition(recipe.compositions[0], study.languages)
        for name, recipe in study.recipes.items()
        if len(recipe.compositions) == 1
    }
    if not single:
        return None
    columns = [column([values[name].get(task) for name in single], heat=True) for task in names]
    rows = [
        Row(name, "", [], [*(Cell(slot) for slot in slots), *(cells[i] for cells in columns)])
        for i, (name, slots) in enumerate(single.items())
    ]
    headings = [Heading("Language of", 3), Heading("Task", len(names))]
    return Table(["query", "positive", "negatives", *names], rows, headings)


def metrics_table(results: Results, benchmark: str) -> Table:
    """Every metric that was scored, of the base, the best recipe and the chosen model."""
    names = list(dict.fromkeys([BASE, results.best_recipe, results.chosen]))
    scores = {name: results.scores[name].get(benchmark, {}) for name in names}
    groups = [group for group in GROUPS if any(group in score for score in scores.values())]
    metrics = list(dict.fromkeys(m for score in scores.values() for group in groups for m in score.get(group, {})))
    rows = []
    for group in groups:
        columns = [column([scores[name].get(group, {}).get(metric) for name in names]) for metric in metrics]
        rows += [
            Row(name, "", [], [Cell(TITLES[group]), *(cells[i] for cells in columns)]) for i, name in enumerate(names)
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


def bias_bars(values: dict[str, dict[str, float]], marks: dict[str, list[str]], chosen: str) -> list[Bar]:
    """A bar for each model, the least biased first."""
    biases = {name: row[BIAS] for name, row in values.items() if BIAS in row}
    longest = max(biases.values(), default=0.0) or 1.0
    return [
        Bar(name, marks[name], f"{biases[name]:.1f}", round(100 * biases[name] / longest, 1), name == chosen)
        for name in sorted(biases, key=lambda name: biases[name])
    ]


def significance(table: pl.DataFrame, names: list[str], marks: dict[str, list[str]]) -> Significance:
    """The tests by group, then model, with a column for each reference."""
    references = sorted(table["reference"].unique(maintain_order=True), key=lambda name: name != BASE)
    by_pair = {(row["group"], row["model"], row["reference"]): row for row in table.iter_rows(named=True)}
    groups = []
    for group in table["group"].unique(maintain_order=True):
        own = {pair[1:]: row for pair, row in by_pair.items() if pair[0] == group}
        rows = [
            Compared(name, marks[name], [_comparison(own.get((name, reference))) for reference in references])
            for name in names
            if any((name, reference) in own for reference in references)
        ]
        groups.append(ComparedGroup(TITLES[group], max(row["queries"] for row in own.values()), rows))
    return Significance(references, table.height, groups)


def _comparison(row: dict[str, Any] | None) -> Comparison | None:
    if row is None:
        return None
    verdict = "no" if not row["significant"] else "better" if row["difference"] > 0 else "worse"
    p = row["p_corrected"]
    return Comparison(
        points(row["difference"], signed=True),
        f"{points(row['low'], signed=True)} to {points(row['high'], signed=True)}",
        "< 0.001" if p < 0.001 else f"{p:.3f}",
        verdict,
    )


def _headlines(compared: Significance, values: dict[str, dict[str, float]], results: Results) -> list[Headline]:
    found = {
        (group.name, row.model, reference): comparison
        for group in compared.groups
        for row in group.rows
        for reference, comparison in zip(compared.references, row.comparisons, strict=True)
    }
    own, base = values[results.chosen], values[BASE]
    return [
        Headline(
            TITLES[group],
            points(own[group]),
            points(base[group]) if group in base else NONE,
            found.get((TITLES[group], results.chosen, BASE)),
            found.get((TITLES[group], results.chosen, results.best_recipe)),
        )
        for group in GROUPS
        if group in own
    ]


def synthesis_table(report: dict[str, dict[str, dict[str, int]]]) -> Table:
    """What each job asked for and what the filters left of it; columns in the order in which filters apply."""
    jobs = {job: asked | report["filters"].get(job, {}) for job, asked in report["requests"].items()}
    keys = merged_order(jobs.values())
    rows = [Row(job, "", [], [Cell(count(counts.get(key))) for key in keys]) for job, counts in jobs.items()]
    return Table([key.replace("_", " ") for key in keys], rows, [])


def negatives_table(report: dict[str, dict[str, dict[str, float]]]) -> Table:
    """What the filters left, for each strategy and direction; columns in the order in which filters apply."""
    cases = [(strategy, way, counts) for strategy, ways in report.items() for way, counts in ways.items()]
    keys = merged_order(counts for _, _, counts in cases)
    rows = [Row(s, "", [], [Cell(way), *(Cell(count(counts.get(key))) for key in keys)]) for s, way, counts in cases]
    return Table(["Direction", *(key.replace("_", " ") for key in keys)], rows, [])


def chosen(study: Study, name: str) -> Chosen:
    """What the chosen model is made of, and where it lies."""
    if name in study.merges:
        merge = study.merges[name]
        total = sum(merge.weights.values())
        parts = [part(study, source, f"{100 * weight / total:.3g} %") for source, weight in merge.weights.items()]
        return Chosen(name, "merge", str(models.MERGED / name), merge.method, parts)
    parts = [part(study, name)] if name in study.recipes else []
    return Chosen(name, _kind(study, name), str(models.source(name)), None, parts)


def part(study: Study, name: str, share: str | None = None) -> Part:
    """A recipe's compositions in words; the base has none."""
    if name not in study.recipes:
        return Part(name, share, [], None, None)
    recipe = study.recipes[name]
    read = [composition(spelling, study.languages) for spelling in recipe.compositions]
    synthetic = None if recipe.synthetic is None else f"{100 * recipe.synthetic:g} %"
    return Part(name, share, [(c.name, _in_words(c)) for c in read], recipe.negatives, synthetic)


def _in_words(slots: Composition) -> str:
    query, positive, negative = (language_name(tag) for tag in slots)
    return f"{query} queries, {positive} positives, {negative} negatives"


def _weights(merge: Merge) -> str:
    return " + ".join(f"{weight:g} {name}" for name, weight in merge.weights.items())


def settings(study: Study) -> list[tuple[str, list[tuple[str, str]]]]:
    """The settings to know when reading the numbers; those left to the model are not listed."""
    groups = {"Study": [("languages", ", ".join(study.languages)), ("seed", str(study.seed))]}
    if study.base.name == "static":
        groups["Bootstrap of the base"] = _listed(study.base.static)
    groups |= {"Training of each recipe": _listed(study.train), "Comparison": _listed(study.compare)}
    return list(groups.items())


def _listed(group: Group) -> list[tuple[str, str]]:
    values = group.model_dump()
    return [
        (key.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for key, value in values.items()
        if value is not None
    ]


def _shown_path(name: str) -> str:
    """A hub id or relative path as it is; of an absolute path its end, the same on every machine."""
    return Path(name).name if Path(name).is_absolute() else name


def _source(benchmark: Benchmark, by_label: bool) -> str:
    if benchmark.source == "held-out":
        details = [f"the collection's {benchmark.split} split"]
    else:
        details = [f"{SOURCES[benchmark.source]} {_shown_path(benchmark.path)}"]
        details += [f"split {benchmark.split}"] if benchmark.split else []
    if by_label:
        details.append("where a passage answers if it has the query's label")
    if benchmark.rerank:
        details.append(f"ranking the candidates of {_shown_path(benchmark.rerank)} alone")
    if benchmark.queries or benchmark.passages:
        sizes = {"queries": benchmark.queries, "passages": benchmark.passages}
        details.append("a sample of " + " and ".join(f"{size:,} {kind}" for kind, size in sizes.items() if size))
    return ", ".join(details)


def _kind(study: Study, name: str) -> str:
    return "recipe" if name in study.recipes else "merge" if name in study.merges else BASE


def _marks(name: str, facts: dict[str, dict[str, Any]], results: Results) -> list[str]:
    own = facts.get(name, {})
    given = {
        "chosen": name == results.chosen,
        "best recipe": name == results.best_recipe,
        "Pareto front": own.get("pareto"),
        "QNM": own.get("query_negatives_match"),
    }
    return [mark for mark, holds in given.items() if holds]


def metric_title(metric: str) -> str:
    """`ndcg@10` -> `nDCG@10`."""
    kind, _, k = metric.partition("@")
    return f"{METRICS.get(kind, kind)}@{k}"
