"""Metrics of runs as trec_eval computes them, language bias, and their means over queries and tasks.

A judged query that a run lacks counts as 0: pytrec_eval leaves it out, which would raise the mean.
"""

from __future__ import annotations

import polars as pl
import pytrec_eval

from stages.schemas.scores import BIAS_MEDIAN, LANGUAGES, QUERY_SCORES
from stages.shared import pool
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS, POOL, Task, tasks

# trec_eval's names.
TREC_MEASURES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "accuracy": "success"}


def per_query(
    run: pl.DataFrame,
    queries: pl.DataFrame,
    qrels: pl.DataFrame,
    metrics: list[str],
    pooled: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Each judged query's value of each metric in each task (columns task, query, metric, value); `pooled` (POOLED) is
    what the pool has, if rows are there; else it has all."""
    rows = []
    in_pool = qrels if pooled is None or pooled.is_empty() else qrels.join(pooled, on=["passage", "lang"], how="semi")
    for task in tasks(queries["lang"].unique().sort().to_list(), qrels["lang"].unique().sort().to_list()):
        relevant = in_pool if task.corpus == POOL else qrels.filter(lang=task.corpus)
        relevant = relevant.join(queries.filter(lang=task.query), on="query", how="semi")
        own = run.filter(task=task.name).join(relevant, on="query", how="semi")
        for query, values in evaluate(own, relevant, metrics).items():
            rows += [(task.name, query, metric, value) for metric, value in values.items()]
    fields = {name: QUERY_SCORES[name] for name in ("task", "query", "metric", "value")}
    return pl.DataFrame(rows, schema=fields, orient="row")


def evaluate(run: pl.DataFrame, qrels: pl.DataFrame, metrics: list[str]) -> dict[str, dict[str, float]]:
    """trec_eval's values for one task's run: {query: {metric: value}}, with 0 for judged queries not in the run.

    `mrr@K` is the reciprocal rank, and 0 if it is below 1 / K; `accuracy@K` is 1 if any relevant passage is among the
    first K, so that accuracy@1 of a benchmark by label is the accuracy of the nearest neighbour's label.
    """
    judged = _nested(qrels, pl.col("relevance"))
    ranked = _nested(run, pl.col("score"))
    split = [metric.split("@") for metric in metrics]
    measures = {f"{TREC_MEASURES[kind]}.{k}" for kind, k in split if kind in TREC_MEASURES} | {"recip_rank"}
    found = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(ranked)
    values: dict[str, dict[str, float]] = {}
    for query in sorted(judged):
        own = found.get(query, {})
        values[query] = {}
        for metric, (kind, k) in zip(metrics, split, strict=True):
            if kind == "mrr":
                reciprocal = own.get("recip_rank", 0.0)
                values[query][metric] = reciprocal if reciprocal * int(k) >= 1 - 1e-9 else 0.0
            else:
                values[query][metric] = own.get(f"{TREC_MEASURES[kind]}_{k}", 0.0)
    return values


def _nested(table: pl.DataFrame, value: pl.Expr) -> dict[str, dict]:
    # A document of a pool is a passage in a language.
    documents = table.select("query", document=pl.col("passage") + "." + pl.col("lang"), value=value)
    grouped = documents.group_by("query", maintain_order=True).agg("document", "value")
    return {query: dict(zip(names, values, strict=True)) for query, names, values in grouped.iter_rows()}


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
