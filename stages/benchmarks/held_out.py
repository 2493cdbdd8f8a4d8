"""A split of the collection as a benchmark."""

from __future__ import annotations

import polars as pl

from stages.benchmarks.parts import Parts
from stages.shared import collection, tables


def read(split: str, languages: list[str]) -> Parts:
    """A split's queries; all passages are searched, those trained on too: a real collection has them as well."""
    stored = collection.read(languages)
    queries = stored.queries.filter(split=split)
    asked = pl.col("id").is_in(queries["query"].unique().implode())
    labels = stored.labels.filter((pl.col("kind") == "passage") | asked)
    of_queries, of_passages = (labels.filter(kind=kind).select("label", "id") for kind in ("query", "passage"))
    answers = of_queries.rename({"id": "query"}).join(of_passages.rename({"id": "passage"}), on="label")
    return Parts(
        stored.passages.select(*tables.BENCHMARK_PASSAGES).lazy(),
        queries.select(*tables.QUERIES),
        pl.concat(
            [
                stored.judgements.join(queries, on="query", how="semi"),
                answers.select("query", "passage", relevance=pl.lit(1, pl.Int32)),
            ]
        ),
        labels,
    )
