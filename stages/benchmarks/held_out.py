"""A split of the collection as a benchmark."""

from __future__ import annotations

import polars as pl

from stages.benchmarks.parts import Parts
from stages.schemas.benchmarks import BENCHMARK_LABELS, BENCHMARK_PASSAGES, BENCHMARK_QUERIES
from stages.shared import collection
from stages.shared.label_names import NO_LABEL


def read(split: str, languages: list[str]) -> Parts:
    """A split's queries; all passages are searched, those trained on too: a real collection has them as well."""
    stored = collection.read(languages)
    queries = stored.queries.filter(split=split)
    groups = stored.groups()
    qrels = stored.qrels.join(queries, on="query", how="semi")
    labels = pl.DataFrame(schema=BENCHMARK_LABELS)
    if stored.by_label:
        beyond = queries.join(qrels, on="query", how="anti").select("query").unique()
        asked = pl.concat([qrels.select("query", "group"), beyond.with_columns(group=pl.lit(NO_LABEL))])
        named = (groups.select("group", id="passage"), asked.select("group", id="query"))
        labels = pl.concat(
            table.select(pl.lit(kind).alias("kind"), "id", label="group")
            for kind, table in zip(("passage", "query"), named, strict=True)
        )
    return Parts(
        stored.passages.select(*BENCHMARK_PASSAGES).lazy(),
        queries.select(*BENCHMARK_QUERIES),
        qrels.join(groups, on="group").select("query", "passage", "relevance"),
        labels,
        ids_shared=not stored.by_label,
    )
