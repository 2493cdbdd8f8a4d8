"""What training is measured on while it runs; without rows where it is not."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

VALIDATION_FOLDER = Path("data/validation")

# The judged queries of each chosen task; `corpus` is what it searches, a language, or * for all that is pooled.
VALIDATION_QUERIES: Schema = {"task": pl.String, "corpus": pl.String, "query": pl.String, "text": pl.String}
VALIDATION_PASSAGES: Schema = {"document": pl.String, "lang": pl.String, "pooled": pl.Boolean, "text": pl.String}
# What answers a query in a task.
VALIDATION_QRELS: Schema = {"task": pl.String, "query": pl.String, "document": pl.String}
VALIDATION_TABLES: dict[str, Schema] = {
    "queries": VALIDATION_QUERIES,
    "passages": VALIDATION_PASSAGES,
    "qrels": VALIDATION_QRELS,
}
