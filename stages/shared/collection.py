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
    queries: pl.DataFrame  # tables.QUERIES, `split` and `synthetic` (bool), sorted by query, lang
    judgements: pl.DataFrame  # tables.JUDGEMENTS of relevance 1 or more, sorted by query, passage
    negatives: pl.DataFrame  # query, passage: those judged not relevant, which hard negatives written for a query are
    # kind, id, label of passages and queries; a query is answered by all passages of its label. Not in `judgements`:
    # there would be as many as queries times passages of a label.
    labels: pl.DataFrame

    def labels_of(self, kind: str, names: pl.Series) -> pl.Series:
        """The labels of passages or queries (`kind`) with these names, "" for one without."""
        own = self.labels.filter(kind=kind).select("id", "label")
        return names.to_frame("id").join(own, on="id", how="left", maintain_order="left")["label"].fill_null("")


def read(languages: list[str]) -> Collection:
    """Read what `corpus` and `synthesize` wrote, without queries in other languages than these.

    A query belongs to its passage's split, or to the most held-out one if it has several passages: no text that
    dev or test asks for is trained on. Labelled queries have a split of their own, for all of them ask for the same
    passages.
    """
    own, written = (tables.read(f / "queries.parquet", tables.QUERIES) for f in (CORPUS, SYNTHETIC))
    judgements = pl.concat([tables.read(f / "judgements.parquet", tables.JUDGEMENTS) for f in (CORPUS, SYNTHETIC)])
    labelled = pl.concat([tables.read(f / "labelled.parquet", tables.LABELLED) for f in (CORPUS, SYNTHETIC)])
    passages = read_passages()
    judgements = judgements.join(passages.select("passage").unique(), on="passage", how="semi")
    relevant = judgements.filter(pl.col("relevance") > 0).sort("query", "passage")
    asked = labelled.filter(kind="query").join(labelled.filter(kind="passage"), on="label", how="semi")
    splits = (
        relevant.join(passages.select("passage", "split").unique(), on="passage")
        .group_by("query")
        .agg(pl.col("split").cast(pl.Enum(SPLITS)).max().cast(pl.String))
    )
    # A translation by a model is still the source's query: what is synthetic was thought of by a model.
    given = own.join(labelled.filter(origin="synthetic"), left_on="query", right_on="id", how="anti")["query"]
    queries = (
        pl.concat([own, written])
        .filter(pl.col("lang").is_in(languages))
        .join(pl.concat([splits, asked.select("split", query="id").select("query", "split")]), on="query")
        .with_columns(synthetic=~pl.col("query").is_in(given.implode()))
    )
    negatives = judgements.filter(pl.col("relevance") <= 0).select("query", "passage").sort("query", "passage")
    labels = labelled.select("kind", "id", "label").sort("kind", "id")
    return Collection(passages, queries.sort("query", "lang"), relevant, negatives, labels)


def read_entries(languages: list[str]) -> pl.DataFrame:
    """The training queries of a labelled collection (tables.QUERIES): they are its documents, as its passages are."""
    labelled = tables.read(CORPUS / "labelled.parquet", tables.LABELLED).filter(kind="query", split="train")
    own = tables.read(CORPUS / "queries.parquet", tables.QUERIES)
    trained = own.join(labelled, left_on="query", right_on="id", how="semi")
    written = tables.read(SYNTHETIC / "entries.parquet", tables.QUERIES)
    return pl.concat([trained, written]).filter(pl.col("lang").is_in(languages)).sort("query", "lang")


def read_passages() -> pl.DataFrame:
    """All passages, without those that some language lacks because their translation failed."""
    passages = pl.concat([tables.read(f / "passages.parquet", tables.PASSAGES) for f in (CORPUS, SYNTHETIC)])
    languages = passages["lang"].n_unique()
    whole = passages.group_by("passage").agg(pl.col("lang").n_unique()).filter(pl.col("lang") == languages)
    return passages.join(whole, on="passage", how="semi").sort("passage", "lang")
