"""The collection as later stages see it: the corpus's own queries and the synthesized ones as one table."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from stages.shared import tables
from stages.shared.params import SPLITS

CORPUS = Path("data/corpus")
SYNTHETIC = Path("data/synthetic")


class Collection(NamedTuple):
    passages: pl.DataFrame  # tables.PASSAGES, sorted by passage, lang
    queries: pl.DataFrame  # tables.QUERIES and `split`, sorted by query, lang
    judgements: pl.DataFrame  # tables.JUDGEMENTS, sorted by query, passage


def read() -> Collection:
    """Read what `corpus` and `synthesize` wrote.

    A query belongs to its passage's split, or to the most held-out one if it has several passages: no text that
    dev or test asks for is trained on.
    """
    passages = tables.read(CORPUS / "passages.parquet", tables.PASSAGES)
    queries = pl.concat([tables.read(f / "queries.parquet", tables.QUERIES) for f in (CORPUS, SYNTHETIC)])
    judgements = pl.concat([tables.read(f / "judgements.parquet", tables.JUDGEMENTS) for f in (CORPUS, SYNTHETIC)])
    splits = (
        judgements.join(passages.select("passage", "split").unique(), on="passage")
        .group_by("query")
        .agg(pl.col("split").cast(pl.Enum(SPLITS)).max().cast(pl.String))
    )
    queries = queries.join(splits, on="query").sort("query", "lang")
    return Collection(passages, queries, judgements.sort("query", "passage"))
