"""The collection as `collect` wrote it."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from stages.schemas.collected import (
    COLLECTED_FOLDER,
    COLLECTED_PASSAGES,
    COLLECTED_QRELS,
    COLLECTED_QUERIES,
    GROUP_LABELS,
)
from stages.shared import tables
from stages.shared.passages import passage_text

RELEVANT = pl.col("relevance") > 0


class Collection(NamedTuple):
    passages: pl.DataFrame  # COLLECTED_PASSAGES, sorted by passage, lang; each passage in every language
    queries: pl.DataFrame  # COLLECTED_QUERIES, sorted by query, lang
    qrels: pl.DataFrame  # COLLECTED_QRELS above 0: what answers a query; sorted by query, group
    not_relevant: pl.DataFrame  # the others: judged not to, which hard negatives written for a query are
    labels: pl.DataFrame  # GROUP_LABELS, sorted; without rows, groups are single passages

    @property
    def by_label(self) -> bool:
        return not self.labels.is_empty()

    def groups(self) -> pl.DataFrame:
        """Columns passage and group, a row for each passage; sorted."""
        return self.passages.select("passage", "group").unique().sort("passage")

    def texts(self, split: str | None = None) -> pl.DataFrame:
        """Columns side (query or passage), id, lang and text, as encoders read it: the queries of a split, or all, and
        all passages."""
        asked = self.queries.filter(split=split) if split else self.queries
        queries = asked.select(pl.lit("query").alias("side"), pl.col("query").alias("id"), "lang", "text")
        passages = self.passages.select(
            pl.lit("passage").alias("side"), pl.col("passage").alias("id"), "lang", passage_text()
        )
        return pl.concat([queries, passages])


def read(languages: list[str]) -> Collection:
    """Without queries in other languages than these: some may be written that nothing trains on."""
    passages, queries, qrels, labels = (
        tables.read(COLLECTED_FOLDER / f"{name}.parquet", schema)
        for name, schema in (
            ("passages", COLLECTED_PASSAGES),
            ("queries", COLLECTED_QUERIES),
            ("qrels", COLLECTED_QRELS),
            ("labels", GROUP_LABELS),
        )
    )
    queries = queries.filter(pl.col("lang").is_in(languages))
    return Collection(passages, queries, qrels.filter(RELEVANT), qrels.filter(~RELEVANT), labels)
