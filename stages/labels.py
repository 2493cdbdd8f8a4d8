"""labels: benchmarks by label, where the answer to a query is the label of the nearest entry (arXiv 2506.02527).

Recall@k by label, the paper's, is `accuracy@k` here as in `score`: any of the first k entries has the query's label. A
score is no probability: a logistic map, fitted for each model on `compare.select_on` (Platt 1999, with his smoothed
targets against overfitting), makes one of it, and the calibration of every benchmark is that of the mapped score. There
too a model's threshold is chosen, below which no entry counts as fitting. A question that no entry fits, where a
benchmark has some (CLINC150, Larson et al. 2019), is one whose every answer is wrong.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from stages.schemas.benchmarks import BENCHMARK_LABELS, BENCHMARK_QRELS, BENCHMARK_QUERIES, BENCHMARKS_FOLDER
from stages.settings.compare import read_select_on
from stages.settings.labels import read_labels
from stages.settings.reading import read_names
from stages.shared import errors, models, runs, tables
from stages.shared.label_names import LABEL_SEPARATOR, NO_LABEL
from stages.shared.tasks import POOL, tasks

log = logging.getLogger("labels")
OUT = Path("metrics/labels.json")
DEPTHS = (1, 3, 5)
# Digits of scores and of what is written. Scores are rounded down, so that a threshold that is typed as it is printed
# accepts the answer that it was taken from.
DIGITS = 5
# Characters shown of an example.
EXAMPLE_CHARS = 120


class Asked(NamedTuple):
    """A benchmark by label."""

    queries: pl.DataFrame  # columns task, query, label (empty: no entry fits), text: what each task asks
    entries: pl.DataFrame  # columns passage, answer: each entry's label


class Map(NamedTuple):
    """From a score to the probability that its answer is right."""

    slope: float
    intercept: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(self.slope * scores + self.intercept)))


def main() -> None:
    settings, select_on, benchmarks = read_labels(), read_select_on(), read_names("benchmarks")
    references = [*read_names("references"), *read_names("translated")]
    beside = references, read_names("fusions"), read_names("rerank")
    names = models.rows(read_names("recipes"), read_names("merges"), *beside)
    by_label = {name: asked for name in benchmarks if (asked := read(name)) is not None}
    report: dict = {name: {"tasks": counts(asked.queries), "models": {}} for name, asked in by_label.items()}
    for model in names:
        found = {name: answers(runs.run(model, name), asked) for name, asked in by_label.items()}
        chosen_on = unpooled(found[select_on]) if select_on in found else None
        threshold = None if chosen_on is None else reject_below(chosen_on, settings.precision)
        mapped = None if chosen_on is None else fit(*scored(chosen_on))
        for name, answered in found.items():
            report[name]["models"][model] = {
                "threshold": threshold,
                "probability": mapped._asdict() if mapped else None,
                "tasks": {
                    task: measures(answered.filter(task=task), threshold, mapped, settings.bins)
                    for task in report[name]["tasks"]
                },
                "confusions": confusions(unpooled(answered), settings.confusions),
            }
    tables.write_json(report, OUT)
    log.info(f"{len(names)} models on {', '.join(by_label)}" if by_label else "no benchmark is by label")


def read(benchmark: str) -> Asked | None:
    """What a benchmark asks and searches; None if it is not by label.

    As in `score`, a query is asked in the tasks whose corpus has an entry of its label, and in all if it has none.
    """
    folder = BENCHMARKS_FOLDER / benchmark
    labels = tables.read(folder / "labels.parquet", BENCHMARK_LABELS)
    if labels.is_empty():
        return None
    queries = tables.read(folder / "queries.parquet", BENCHMARK_QUERIES)
    judged = tables.read(folder / "qrels.parquet", BENCHMARK_QRELS).select("query", "lang").unique()
    labelled = queries.join(labels.filter(kind="query").select("label", query="id"), on="query").sort("query", "lang")
    parts = []
    for task in tasks(queries["lang"].unique().sort().to_list(), judged["lang"].unique().sort().to_list()):
        answerable = judged if task.corpus == POOL else judged.filter(lang=task.corpus)
        known = pl.col("query").is_in(answerable["query"].unique().implode())
        if not labelled.filter(known, lang=task.query).height:
            continue
        asked = labelled.filter(known | (pl.col("label") == NO_LABEL), lang=task.query)
        parts.append(asked.select(pl.lit(task.name).alias("task"), "query", "label", "text"))
    entries = labels.filter(kind="passage").select(passage="id", answer="label")
    return Asked(pl.concat(parts), entries)


def counts(queries: pl.DataFrame) -> dict[str, dict]:
    """{task: {queries, labels, out_of_scope, categories: {category: queries}}}: queries that an entry fits, those that
    none fits if there are any, and categories of hierarchical labels."""
    report: dict[str, dict] = {}
    for (task,), every in queries.group_by("task", maintain_order=True):
        own = every.filter(fits())
        report[task] = {"queries": own.height, "labels": own["label"].n_unique()}
        if beyond := every.height - own.height:
            report[task]["out_of_scope"] = beyond
        if hierarchical(own):
            grouped = own.group_by(category()).len().sort("category")
            report[task]["categories"] = dict(grouped.iter_rows())
    return report


def hierarchical(queries: pl.DataFrame) -> bool:
    return bool(queries["label"].str.contains(LABEL_SEPARATOR, literal=True).any())


def fits() -> pl.Expr:
    """Whether an entry fits the query, by the benchmark's account."""
    return pl.col("label") != NO_LABEL


def category() -> pl.Expr:
    """The first part of a label."""
    return pl.col("label").str.split(LABEL_SEPARATOR).list.first().alias("category")


def answers(run: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Each query asked with its `answer` (the label of rank 1), that one's `score`, and the rank of the `first` entry
    of its own label; null where the run has none."""
    key = ["task", "query"]
    ranked = run.join(asked.entries, on="passage").join(asked.queries.select(*key, "label"), on=key)
    score = (pl.col("score").cast(pl.Float64) * 10**DIGITS).floor() / 10**DIGITS
    nearest = ranked.filter(rank=1).select(*key, "answer", score)
    first = ranked.filter(pl.col("answer") == pl.col("label")).group_by(key).agg(first=pl.col("rank").min())
    found = asked.queries.join(nearest, on=key, how="left", maintain_order="left")
    return found.join(first, on=key, how="left", maintain_order="left")


def unpooled(answered: pl.DataFrame) -> pl.DataFrame:
    """Without the tasks that search all languages at once, whose answers repeat those of the others."""
    return answered.filter(~pl.col("task").str.ends_with(f"-{POOL}"))


def right() -> pl.Expr:
    return (pl.col("first") == 1).fill_null(False).alias("right")


def scored(answered: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Scores and whether each answer is right, without the queries that have no answer; float64 and bool, [answers]."""
    given = answered.drop_nulls("score").sort("score", "task", "query")
    return given["score"].to_numpy(), given.select(right())["right"].to_numpy()


def measures(given: pl.DataFrame, threshold: float | None, mapped: Map | None, bins: int) -> dict[str, Any]:
    """One task's numbers; null is what has no value (without threshold, map or wrong answers).

    `mrr` is over the run's depth, `macro` the mean over labels of the accuracy, `auroc` the probability that a right
    answer's score is above a wrong one's. `ece`, the expected calibration error, is the mean gap between the mapped
    score and the accuracy over `bins` of equally many answers, since cosines crowd; each of `bins` is [mean score, mean
    mapped score, accuracy]. At the threshold `answered` is the share of the queries that get an answer, `accuracy` that
    of right answers among all queries, and `precision` that among all answers. Queries that no entry fits count in
    precision, AUROC and calibration; `rejected`, the share of them that gets no answer at the threshold, and
    `out_of_scope_auroc`, the probability that a query's score is above one of theirs, are there if they are.
    """
    answered = given.filter(fits())
    reached = {f"accuracy@{k}": (pl.col("first") <= k).fill_null(False).mean() for k in DEPTHS}
    report = answered.select(**reached, mrr=(1 / pl.col("first")).fill_null(0.0).mean()).row(0, named=True)
    report["macro"] = answered.group_by("label", maintain_order=True).agg(right().mean())["right"].mean()
    scores, rights = scored(given)
    report["auroc"] = auroc(scores, rights)
    curve, report["ece"] = reliability(scores, rights, mapped, bins)
    # The score of a query without an answer is null, which is above nothing.
    accepted = None if threshold is None else given.filter(pl.col("score") >= threshold)
    kept = None if accepted is None else accepted.select(right())["right"]
    report["answered"] = None if accepted is None else accepted.filter(fits()).height / answered.height
    report["precision"] = kept.mean() if kept is not None else None
    report["accuracy"] = None if kept is None else kept.sum() / answered.height
    if beyond := given.height - answered.height:
        wrong = None if accepted is None else accepted.filter(~fits()).height
        report["rejected"] = None if wrong is None else 1 - wrong / beyond
        some = given.drop_nulls("score")
        report["out_of_scope_auroc"] = auroc(some["score"].to_numpy(), some.select(fits())["label"].to_numpy())
    report = {name: rounded(value) for name, value in report.items()}
    if hierarchical(answered):
        grouped = answered.group_by(category()).agg(right().mean()).sort("category")
        report["categories"] = {name: rounded(value) for name, value in grouped.iter_rows()}
    return report | {"bins": curve}


def rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), DIGITS)


def auroc(scores: np.ndarray, rights: np.ndarray) -> float | None:
    """The area under the ROC curve, ties counted half; None unless some answers are right and some wrong."""
    above = int(rights.sum())
    below = len(rights) - above
    if not above or not below:
        return None
    ranks = pl.Series(scores).rank("average").to_numpy()
    return float((ranks[rights].sum() - above * (above + 1) / 2) / (above * below))


def reliability(
    scores: np.ndarray, rights: np.ndarray, mapped: Map | None, bins: int
) -> tuple[list[list[float | None]], float | None]:
    """The bins of ascending `scores`, each [mean score, mean mapped score, accuracy], and the expected calibration
    error of the mapped score."""
    curve: list[list[float | None]] = []
    error = 0.0
    for part in np.array_split(np.arange(len(scores)), bins):
        if not len(part):
            continue
        accuracy = rights[part].mean()
        probability = mapped(scores[part]).mean() if mapped else None
        curve.append([rounded(scores[part].mean()), rounded(probability), rounded(accuracy)])
        error += 0 if probability is None else abs(probability - accuracy) * len(part) / len(scores)
    return curve, error if mapped and curve else None


def fit(scores: np.ndarray, rights: np.ndarray) -> Map | None:
    """The logistic map of greatest likelihood, by Newton's method; None without answers, constant where a higher score
    is no better."""
    if not len(scores):
        return None
    above = int(rights.sum())
    targets = np.where(rights, (above + 1) / (above + 2), 1 / (len(rights) - above + 2))
    mean, spread = scores.mean(), scores.std() or 1.0
    features = np.stack([(scores - mean) / spread, np.ones_like(scores)], axis=1)

    def loss(weights: np.ndarray) -> float:
        logits = features @ weights
        return float((np.logaddexp(0, logits) - targets * logits).sum())

    weights = np.array([0.0, np.log(targets.mean() / (1 - targets.mean()))])
    constant = weights
    for _ in range(100):
        probabilities = 1 / (1 + np.exp(-features @ weights))
        gradient = features.T @ (probabilities - targets)
        # The ridge is for scores that are all equal, and for nothing else.
        curvature = features.T @ (features * (probabilities * (1 - probabilities))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    slope, intercept = weights if weights[0] > 0 else constant
    return Map(round(float(slope / spread), DIGITS), round(float(intercept - slope * mean / spread), DIGITS))


def reject_below(answered: pl.DataFrame, precision: float) -> float | None:
    """The lowest score from which on the answers are right as often as `precision` asks; None if there is none."""
    reached = (
        answered.drop_nulls("score")
        .group_by("score")
        .agg(right().sum(), given=pl.len())
        .sort("score", descending=True)
        .select("score", precision=pl.col("right").cum_sum() / pl.col("given").cum_sum())
        .filter(pl.col("precision") >= precision - 1e-12)
    )
    return rounded(reached["score"].min())


def confusions(answered: pl.DataFrame, count: int) -> list[list[Any]]:
    """The most frequent mistakes, each [label, answer, count, the query that was surest of it]."""
    pairs = (
        answered.filter(fits(), pl.col("answer") != pl.col("label"))
        .sort(["score", "task", "query"], descending=[True, False, False])
        .group_by("label", "answer", maintain_order=True)
        .agg(pl.len().alias("count"), pl.col("text").first())
        .sort(["count", "label", "answer"], descending=[True, False, False])
        .head(count)
    )
    return [[label, answer, number, _shown(text)] for label, answer, number, text in pairs.iter_rows()]


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXAMPLE_CHARS else line[: EXAMPLE_CHARS - 1] + "…"


if __name__ == "__main__":
    errors.run(main)
