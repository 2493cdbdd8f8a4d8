"""A split of the collection as a benchmark."""

from __future__ import annotations

from stages.benchmarks.parts import Parts
from stages.shared import collection, tables


def read(split: str) -> Parts:
    """A split's queries; all passages are searched, those trained on too: a real collection has them as well."""
    stored = collection.read()
    queries = stored.queries.filter(split=split)
    return Parts(
        stored.passages.select(*tables.BENCHMARK_PASSAGES).lazy(),
        queries.select(*tables.QUERIES),
        stored.judgements.join(queries, on="query", how="semi"),
    )
