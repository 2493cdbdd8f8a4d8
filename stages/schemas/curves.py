"""A training's loss curve, a CSV file for people."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

TRAINING_CURVES = Path("metrics/training")
CURVE: Schema = {"step": pl.Int64, "loss": pl.Float64}
# The columns beside them of a training with train.early_stopping: what was measured, at some steps, and 1 at the step
# whose weights are kept.
VALIDATED: Schema = {"validation": pl.Float64, "kept": pl.Int64}
