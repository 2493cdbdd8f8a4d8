"""A training's loss curve, a CSV file for people."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

TRAINING_CURVES = Path("metrics/training")
CURVE: Schema = {"step": pl.Int64, "loss": pl.Float64}
