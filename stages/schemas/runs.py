"""Ranked results of a model, or of a reference, on a benchmark (TREC sense)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

RUNS_FOLDER = Path("data/runs")
# Of fusions, which are made of the others.
FUSED_FOLDER = Path("data/fused")
# Of first stages that were re-ranked.
RERANKED_FOLDER = Path("data/reranked")
# Beside the runs of references, fusions and re-rankers: what was run, and how; of models: what was read in windows.
RUN_RECORD = "about.json"

RUN: Schema = {
    "task": pl.String,
    "query": pl.String,
    "passage": pl.String,
    "lang": pl.String,
    "rank": pl.UInt32,
    "score": pl.Float32,
}
# A document of a pool is a passage in a language. Of equal scores the higher id comes first, as in trec_eval.
DOCUMENT_ID = pl.col("passage") + "." + pl.col("lang")
