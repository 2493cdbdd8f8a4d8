"""What runs are worth, as trec_eval computes it.

A judged query that a run lacks counts as 0: pytrec_eval leaves it out, which would raise the mean.
"""

from __future__ import annotations

import polars as pl
import pytrec_eval

from stages.schemas.scores import QUERY_SCORES
from stages.shared.tasks import POOL, tasks

# trec_eval's names.
TREC_MEASURES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "accuracy": "success"}


def per_query(run: pl.DataFrame, queries: pl.DataFrame, qrels: pl.DataFrame, metrics: list[str]) -> pl.DataFrame:
    """Each judged query's value of each metric in each task (columns task, query, metric, value)."""
    rows = []
    for task in tasks(queries["lang"].unique().sort().to_list(), qrels["lang"].unique().sort().to_list()):
        relevant = qrels if task.corpus == POOL else qrels.filter(lang=task.corpus)
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
