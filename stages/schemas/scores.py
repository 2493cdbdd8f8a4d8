"""Each query's value of each metric."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

SCORES_FOLDER = Path("data/scores")
# Of each model, its means by benchmark, task and group of tasks.
MODEL_METRICS = Path("metrics/models")
# Beside the mean of language bias: half of that mean may come of one query in twenty.
BIAS_MEDIAN = "language_bias_median"
# Beside both, what else the pool shows of languages: {peer, rank_correlation, own_language: mean, preference: {task:
# {language: mean}}}.
LANGUAGES = "languages"
# How each reference, fusion and re-ranked row was run.
REFERENCE_RECORDS = Path("metrics/references.json")

QUERY_SCORES: Schema = {
    "benchmark": pl.String,
    "task": pl.String,
    "query": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
}
