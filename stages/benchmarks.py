"""benchmarks: a benchmark in the one layout that `retrieve` and `score` know: passages, queries, qrels."""

import logging
import sys
from pathlib import Path

import polars as pl

from stages.shared import beir, collection, errors, params, tables
from stages.shared.errors import UserError

log = logging.getLogger("benchmarks")
OUT = Path("data/benchmarks")


def main() -> None:
    name = sys.argv[1]
    benchmark, languages = params.read(f"benchmarks.{name}", "languages")
    if benchmark.source == "held-out":
        passages, queries, qrels = held_out(benchmark.split)
    else:
        passages, queries, qrels = beir.read(benchmark.path, languages)
    # A query that nothing answers measures nothing.
    queries = queries.join(qrels, on="query", how="semi")
    if queries.is_empty():
        raise UserError(f"benchmarks.{name} has no judged query in {', '.join(languages)}: check {benchmark.path}")
    with tables.replacing(OUT / name) as draft:
        tables.write(passages.sort("passage", "lang"), draft / "passages.parquet", tables.BENCHMARK_PASSAGES)
        tables.write(queries.sort("query", "lang"), draft / "queries.parquet", tables.QUERIES)
        tables.write(qrels.sort("query", "passage", "lang"), draft / "qrels.parquet", tables.QRELS)
    log.info(f"{name}: {queries.height:,} queries, {passages.height:,} passages, {qrels.height:,} judgements")


def held_out(split: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """A split's queries; all passages are searched, those trained on too: a real collection has them as well."""
    stored = collection.read()
    queries = stored.queries.filter(split=split)
    qrels = stored.judgements.join(queries, on="query", how="semi").join(
        stored.passages.select("passage", "lang"), on="passage"
    )
    return (
        stored.passages.select(*tables.BENCHMARK_PASSAGES),
        queries.select(*tables.QUERIES),
        qrels.select(*tables.QRELS),
    )


if __name__ == "__main__":
    errors.run(main)
