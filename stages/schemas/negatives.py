"""A strategy's negatives."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

NEGATIVES_FOLDER = Path("data/negatives")

NEGATIVES: Schema = {
    "query": pl.String,
    "query_lang": pl.String,
    "corpus_lang": pl.String,
    "negatives": pl.List(pl.String),
}
