"""What `corpus` reads and `synthesize` has written, in tables of one kind, which `collect` joins."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

CORPUS_FOLDER = Path("data/corpus")
SYNTHETIC_FOLDER = Path("data/synthetic")
SPLITS = ("train", "dev", "test")
# `passage` names a parallel group: its rows are the same passage in several languages.
PASSAGES: Schema = {
    "passage": pl.String,
    "lang": pl.String,
    "title": pl.String,
    "text": pl.String,
    "stratum": pl.String,
    "split": pl.String,
}
# `query` names a parallel group likewise.
QUERIES: Schema = {"query": pl.String, "lang": pl.String, "text": pl.String}
# Relevant in every language: the passage's translations are as relevant as itself. 0: judged not relevant.
QRELS: Schema = {"query": pl.String, "passage": pl.String, "relevance": pl.Int32}
# What a labelled collection says of its passages and queries (`kind`): `origin` is labelled or synthetic. A query's
# label is that of the passages that answer it, and empty if none does by the source's own account. Other collections
# have no rows.
LABELLED: Schema = {
    "kind": pl.String,
    "id": pl.String,
    "label": pl.String,
    "origin": pl.String,
    "split": pl.String,
}
LABELS: Schema = {"label": pl.String, "description": pl.String}
