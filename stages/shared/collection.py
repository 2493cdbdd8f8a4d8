"""The collection as later stages see it: the corpus and what was written for it as one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from stages.shared import tables
from stages.shared.params import SPLITS

CORPUS = Path("data/corpus")
SYNTHETIC = Path("data/synthetic")


class Collection(NamedTuple):
    passages: pl.DataFrame  # tables.PASSAGES, sorted by passage, lang; each passage in every language
    queries: pl.DataFrame  # tables.QUERIES and `split`, sorted by query, lang
    judgements: pl.DataFrame  # tables.JUDGEMENTS of relevance 1 or more, sorted by query, passage
    negatives: pl.DataFrame  # query, passage: those judged not relevant, which hard negatives written for a query are


def read() -> Collection:
    """Read what `corpus` and `synthesize` wrote.

    A query belongs to its passage's split, or to the most held-out one if it has several passages: no text that
    dev or test asks for is trained on.
    """
    queries = pl.concat([tables.read(f / "queries.parquet", tables.QUERIES) for f in (CORPUS, SYNTHETIC)])
    judgements = pl.concat([tables.read(f / "judgements.parquet", tables.JUDGEMENTS) for f in (CORPUS, SYNTHETIC)])
    passages = read_passages()
    judgements = judgements.join(passages.select("passage").unique(), on="passage", how="semi")
    relevant = judgements.filter(pl.col("relevance") > 0).sort("query", "passage")
    splits = (
        relevant.join(passages.select("passage", "split").unique(), on="passage")
        .group_by("query")
        .agg(pl.col("split").cast(pl.Enum(SPLITS)).max().cast(pl.String))
    )
    queries = queries.join(splits, on="query").join(passages.select("lang").unique(), on="lang", how="semi")
    negatives = judgements.filter(pl.col("relevance") <= 0).select("query", "passage").sort("query", "passage")
    return Collection(passages, queries.sort("query", "lang"), relevant, negatives)


def read_passages() -> pl.DataFrame:
    """All passages, without those that some language lacks because their translation failed."""
    passages = pl.concat([tables.read(f / "passages.parquet", tables.PASSAGES) for f in (CORPUS, SYNTHETIC)])
    languages = passages["lang"].n_unique()
    whole = passages.group_by("passage").agg(pl.col("lang").n_unique()).filter(pl.col("lang") == languages)
    return passages.join(whole, on="passage", how="semi").sort("passage", "lang")
