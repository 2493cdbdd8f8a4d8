"""Triples of a composition, as ids."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

TRIPLES_FOLDER = Path("data/triples")

TRIPLES: Schema = {"query": pl.String, "positive": pl.String, "negatives": pl.List(pl.String)}
