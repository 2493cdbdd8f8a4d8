"""Texts of benchmarks that a recipe trains on."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

EXAMPLES_FILE = Path("data/contamination/examples.parquet")
# `kind` query or passage, `slot` where training has it (query, positive or negative), `match` exact or near.
EXAMPLES: Schema = {
    "benchmark": pl.String,
    "recipe": pl.String,
    "kind": pl.String,
    "name": pl.String,
    "lang": pl.String,
    "slot": pl.String,
    "match": pl.String,
    "similarity": pl.Float64,
    "text": pl.String,
    "trained": pl.String,
}


def examples(hits: pl.DataFrame, recipe: str, most: int) -> pl.DataFrame:
    """At most so many texts of each benchmark, kind and language with what they are most like in training; those that
    count come first, and exact ones before near ones."""
    ranked = hits.with_columns(alone=pl.col("slot") == "negative").sort(
        "alone", "similarity", "name", "slot", "trained", descending=[False, True, False, True, False]
    )
    single = ranked.unique(["benchmark", "kind", "name", "lang"], keep="first", maintain_order=True)
    chosen = single.filter(pl.int_range(pl.len()).over("benchmark", "kind", "lang") < most)
    return chosen.with_columns(recipe=pl.lit(recipe)).select(*EXAMPLES)
