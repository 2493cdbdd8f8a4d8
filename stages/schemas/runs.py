"""Ranked results of a model on a benchmark (TREC sense)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

RUNS_FOLDER = Path("data/runs")

RUN: Schema = {
    "task": pl.String,
    "query": pl.String,
    "passage": pl.String,
    "lang": pl.String,
    "rank": pl.UInt32,
    "score": pl.Float32,
}
