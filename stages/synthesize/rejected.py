"""What a language model was asked for in vain, and what it wrote that a filter left out."""

from __future__ import annotations

import polars as pl

from stages.schemas.types import Schema

FAILURES: Schema = {"job": pl.String, "task": pl.String, "reason": pl.String}
DROPPED: Schema = {
    "job": pl.String,
    "item": pl.String,
    "lang": pl.String,
    "kind": pl.String,
    "filter": pl.String,
    "detail": pl.String,
    "text": pl.String,
}
