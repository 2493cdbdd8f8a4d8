"""Metrics of runs as trec_eval computes them, language bias, and their means over queries and tasks.

All queries at once: the places of the relevant documents are found by one join, and every metric and cut-off is made
of them, to the last bit as trec_eval adds them up (the tests hold it against pytrec_eval). A judged query that a run
lacks counts as 0: pytrec_eval leaves it out, which would raise the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import xor

import numpy as np
import polars as pl

from stages.schemas.scores import BIAS_MEDIAN, LANGUAGES
from stages.shared import pool
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS, POOL, Task, tasks


def per_query(
    run: pl.DataFrame,
    queries: pl.DataFrame,
    qrels: pl.DataFrame,
    metrics: list[str],
    pooled: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Each judged query's value of each metric in each task (columns task, query, metric, value); `pooled` (POOLED) is
    what the pool has, if rows are there; else it has all."""
    in_pool = qrels if pooled is None or pooled.is_empty() else qrels.join(pooled, on=["passage", "lang"], how="semi")
    measured = tasks(queries["lang"].unique().sort().to_list(), qrels["lang"].unique().sort().to_list())
    of_task = pl.Enum([task.name for task in measured])  # which sorts them in this order
    parts = [qrels.clear().select(pl.lit(None, of_task).alias("task"), pl.all())]
    for task in measured:
        own = in_pool if task.corpus == POOL else qrels.filter(lang=task.corpus)
        own = own.join(queries.filter(lang=task.query), on="query", how="semi")
        parts.append(own.select(pl.lit(task.name, of_task).alias("task"), pl.all()))
    relevant = pl.concat(parts)
    own = run.filter(pl.col("task").is_in(of_task.categories.implode())).cast({"task": of_task})
    return evaluate(own, relevant, metrics, pool.OF_QUERY).cast({"task": pl.String})


def evaluate(
    run: pl.DataFrame, qrels: pl.DataFrame, metrics: list[str], by: Sequence[str] = ("query",)
) -> pl.DataFrame:
    """trec_eval's values (columns of `by`, which tell what is asked, then metric and value), sorted by `by`, with 0 for
    judged queries not in the run.

    `mrr@K` is the reciprocal rank, and 0 if it is below 1 / K; `accuracy@K` is 1 if any relevant passage is among the
    first K, so that accuracy@1 of a benchmark by label is the accuracy of the nearest neighbour's label.
    """
    queries = qrels.select(by).unique().sort(by).with_row_index("number")
    judged = qrels.filter(pl.col("relevance") > 0).join(queries, on=by)
    # Of each query the grades of what is relevant, and of what was found of it with their places.
    best = judged.sort("number", "relevance", descending=[False, True])
    hits = _found(run, judged, by).sort("number", "place")
    count = queries.height
    number, place, relevance = (hits[name].to_numpy().astype(np.int64) for name in ("number", "place", "relevance"))
    of_best, ideal = best["number"].to_numpy().astype(np.int64), best["relevance"].to_numpy().astype(np.int64)
    nth = [np.arange(len(own)) - np.searchsorted(own, own) + 1 for own in (number, of_best)]
    relevant = np.bincount(of_best, minlength=count)
    logs = np.array([math.inf] + [math.log2(rank + 1) for rank in range(1, max([0, *place, *nth[1]]) + 1)])

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.zeros(count), where=whole > 0)

    values = np.zeros((count, len(metrics)))
    for column, metric in enumerate(metrics):
        kind, cut = metric.split("@")
        k = int(cut)
        within = place <= k
        own = number[within]
        # bincount adds in the order of places, as trec_eval does.
        if kind == "ndcg":
            gain = np.bincount(own, relevance[within] / logs[place[within]], count)
            most = nth[1] <= k
            values[:, column] = share(gain, np.bincount(of_best[most], ideal[most] / logs[nth[1][most]], count))
        elif kind == "map":
            values[:, column] = share(np.bincount(own, nth[0][within] / place[within], count), relevant)
        elif kind == "recall":
            values[:, column] = share(np.bincount(own, minlength=count), relevant)
        elif kind == "mrr":
            first = within & (nth[0] == 1)
            values[number[first], column] = 1 / place[first]
        else:
            values[own, column] = 1.0
    return pl.DataFrame(
        {
            **{name: queries[name].gather(np.repeat(np.arange(count), len(metrics))) for name in by},
            "metric": pl.Series(metrics, dtype=pl.String).gather(np.tile(np.arange(len(metrics)), count)),
            "value": values.reshape(-1),
        }
    )


def _found(run: pl.DataFrame, judged: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The rows of `judged` that `run` has, with the column `place`, from 1: by score, equal ones by descending document
    id, as trec_eval has it."""
    begins = _begins(run, by)
    score = run["score"].to_numpy()
    same, tied = np.ones(max(0, run.height - 1), bool), np.flatnonzero(score[1:] == score[:-1])
    same[begins[1:] - 1] = False
    tied = tied[same[tied]]
    # A document of a pool is a passage in a language.
    document = pl.concat_str("passage", pl.lit("."), "lang")
    names = run[tied].select(document).to_series(), run[tied + 1].select(document).to_series()
    in_order = not (same & (score[1:] > score[:-1])).any() and (names[0] > names[1]).all()
    if not in_order or run[begins].n_unique(by) < len(begins):
        run = run.sort(*by, "score", document, descending=[*(False for _ in by), True, True])
        begins = _begins(run, by)
    # By numbers first: to compare names takes longer, and most rows are not judged.
    keys = [*by, "passage", "lang"]
    number = reduce(xor, (pl.col(key).hash(seed) for seed, key in enumerate(keys)))
    perhaps = (
        run.lazy().select(*keys).with_row_index("row").filter(number.is_in(judged.select(number).to_series().implode()))
    )
    hits = perhaps.collect().join(judged, on=keys)
    rows = hits["row"].to_numpy()
    return hits.with_columns(place=pl.Series(rows - begins[np.searchsorted(begins, rows, side="right") - 1] + 1))


def _begins(run: pl.DataFrame, by: Sequence[str]) -> np.ndarray:
    """The rows at which another query begins."""
    lengths = run.select(pl.struct(by) if len(by) > 1 else by[0]).to_series().rle().struct.field("len").to_numpy()
    return np.cumsum(lengths, dtype=np.int64) - lengths


def bias(relevant: pl.DataFrame) -> pl.DataFrame:
    """Language bias of each query (arXiv 2408.10536, section 4): worst minus best rank of its parallel relevant
    passages in the pool of all languages; of two, at least 1.

    Parallel are those of one id and, if no language has more than one, all (XQuAD-R's sentences have ids of their own).
    Of several parallel sets the mean counts; queries whose relevant passages are in one language only have none.
    """
    single = pl.len().over("task", "query", "lang").max().over("task", "query") == 1
    return (
        relevant.with_columns(parallel=pl.when(single).then(pl.lit("")).otherwise(pl.col("passage")))
        .group_by("task", "query", "parallel")
        .agg(
            (pl.col("rank").max() - pl.col("rank").min()).cast(pl.Float64).alias("value"),
            pl.col("lang").n_unique(),
        )
        .filter(pl.col("lang") > 1)
        .sort("task", "query", "parallel")
        .group_by("task", "query", maintain_order=True)
        .agg(pl.col("value").mean())
        .select("task", "query", pl.lit(BIAS).alias("metric"), "value")
    )


def summary(values: pl.DataFrame, groups: dict[str, str]) -> dict:
    """{benchmark: {task or group: {metric: mean}, language_bias: mean, language_bias_median: median, languages: ...}}:
    over queries, then the mean over tasks.

    `groups` gives each task's group, mono, cross or multi.
    """
    means = values.group_by("benchmark", "task", "metric", maintain_order=True).agg(pl.col("value").mean())
    tree: dict = {}
    for benchmark, task, metric, value in means.iter_rows():
        tree.setdefault(benchmark, {}).setdefault(task, {})[metric] = value
    gaps = values.filter(metric=BIAS).group_by("benchmark", "task", maintain_order=True).agg(pl.col("value").median())
    for benchmark, task, value in gaps.iter_rows():
        tree[benchmark][task][BIAS_MEDIAN] = value
    for by_task in tree.values():
        biases = {
            measure: [row.pop(measure) for row in by_task.values() if measure in row] for measure in (BIAS, BIAS_MEDIAN)
        }
        languages = _of_languages(by_task)
        members: dict[str, list[dict]] = {}
        for name, row in by_task.items():
            members.setdefault(groups[name], []).append(row)
        for group in (g for g in GROUPS if g in members):
            rows = members[group]
            by_task[group] = {metric: sum(r[metric] for r in rows) / len(rows) for metric in rows[0]}
        for name in list(by_task):
            by_task[name] = {metric: rounded(value, metric) for metric, value in by_task[name].items()}
        by_task.update({m: rounded(sum(own) / len(own), m) for m, own in biases.items() if own})
        by_task.update({LANGUAGES: languages} if languages else {})
    return tree


def of_groups(values: pl.DataFrame, queries: pl.DataFrame, passages: pl.DataFrame, metric: str) -> dict[str, float]:
    """One benchmark's means of mono, cross and multi by `metric`, and language bias, so far as its `values` (task,
    query, metric, value) have them."""
    asked, searched = (table["lang"].unique().sort().to_list() for table in (queries, passages))
    groups = {task.name: task.group for task in tasks(asked, searched)}
    told = summary(values.select(pl.lit("").alias("benchmark"), pl.all()), groups)[""]
    found = {group: told[group][metric] for group in GROUPS if group in told}
    return found | ({BIAS: told[BIAS]} if BIAS in told else {})


def _of_languages(by_task: dict[str, dict[str, float]]) -> dict:
    """What `pool` measured, taken out of the tasks: its means over them, how far they prefer the language that they are
    asked in, and whom each task prefers."""
    found: dict[str, list[float]] = {}
    preference: dict[str, dict[str, float]] = {}
    for task, row in by_task.items():
        for measure in [key for key in row if key.split(".")[0] in pool.LANGUAGE_MEASURES]:
            kind, _, lang = measure.partition(".")
            value = row.pop(measure)
            if lang:
                preference.setdefault(task, {})[lang] = rounded(value)
            if not lang or task == Task(lang, POOL).name:
                found.setdefault(pool.OWN_LANGUAGE if lang else kind, []).append(value)
    means = {measure: rounded(sum(values) / len(values)) for measure, values in found.items()}
    return means | ({pool.PREFERENCE: preference} if preference else {})
