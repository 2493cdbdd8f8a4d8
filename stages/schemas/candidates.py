"""What the teacher ranked."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

CANDIDATES_FOLDER = Path("data/candidates")

CANDIDATE_POOL: Schema = {"passage": pl.String}
# `candidates` and `scores` are parallel lists, best first, the candidates as row numbers of CANDIDATE_POOL. The query's
# relevant passages stay in the list, so that a position is the raw rank.
CANDIDATES: Schema = {
    "query": pl.String,
    "query_lang": pl.String,
    "corpus_lang": pl.String,
    "positive_score": pl.Float32,
    "candidates": pl.List(pl.UInt32),
    "scores": pl.List(pl.Float32),
}
