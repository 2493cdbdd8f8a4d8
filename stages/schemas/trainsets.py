"""A recipe's training set."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

TRAINSETS_FOLDER = Path("data/trainsets")

TRAINING_TEXTS: Schema = {"text": pl.String}
# Row numbers of TRAINING_TEXTS, so that each text is stored once. `groups` are the groups of positive and negatives, as
# numbers: two texts of one group are never each other's negatives. After them come, as many as a row has, the groups of
# what else answers the query or is its own text: they are never its negatives either, whose positive they may be.
TRAINING_ROWS: Schema = {
    "composition": pl.String,
    "query": pl.UInt32,
    "positive": pl.UInt32,
    "negatives": pl.List(pl.UInt32),
    "groups": pl.List(pl.UInt32),
}
# A table of a recipe that learns from its teacher's scores alone, a row for each of TRAINING_ROWS: the score of the
# positive and of each negative, cosines.
TEACHER_SCORES: Schema = {"scores": pl.List(pl.Float32)}
# What a recipe's batches are drawn from: `share` of them hold rows of these compositions alone; without rows, all of
# them are of all rows at random.
BATCHES: Schema = {"share": pl.Float64, "compositions": pl.List(pl.String)}
