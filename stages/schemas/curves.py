"""A training's loss curve, a CSV file for people."""

from __future__ import annotations

import polars as pl

from stages.schemas.types import Schema

CURVE: Schema = {"step": pl.Int64, "loss": pl.Float64}
