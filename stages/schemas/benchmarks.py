"""A benchmark in the layout all share."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

BENCHMARKS_FOLDER = Path("data/benchmarks")
# Of each benchmark, how much it has, and what was left out.
BENCHMARK_METRICS = Path("metrics/benchmarks")

BENCHMARK_PASSAGES: Schema = {"passage": pl.String, "lang": pl.String, "title": pl.String, "text": pl.String}
BENCHMARK_QUERIES: Schema = {"query": pl.String, "lang": pl.String, "text": pl.String}
# Per language: not every benchmark judges all translations of a passage alike.
BENCHMARK_QRELS: Schema = {"query": pl.String, "passage": pl.String, "lang": pl.String, "relevance": pl.Int32}
# Of a benchmark by label: the labels of its passages and queries (`kind`); else without rows. A query with an empty
# label is one that no passage fits; it has no qrel, and is asked to see whether it is turned away.
BENCHMARK_LABELS: Schema = {"kind": pl.String, "id": pl.String, "label": pl.String}
# The passages that a query is re-ranked over, where a benchmark gives them; without rows all are searched.
RERANK: Schema = {"query": pl.String, "passage": pl.String}
# What the tasks against the pool search, where each document is there in one language; without rows it is all passages.
POOLED: Schema = {"passage": pl.String, "lang": pl.String}
# A query and the passage that it is itself (ArguAna, Quora), which is no result of it; mostly without rows.
IDENTICAL: Schema = {"query": pl.String, "passage": pl.String}
