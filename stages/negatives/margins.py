"""Negatives beside a triple's own positive, which a composition may put into another language than its negatives.

The composition q-p-n sets the negatives, which the teacher scores in its list (q, n), beside the positive in language
p, whose score is that of (q, p). Of several positives it is the lowest, as in the candidates.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.settings.negatives import Negatives
from stages.shared.compositions import compositions
from stages.shared.teacher_scores import scored


def limits(ranked: pl.DataFrame, strategy: Negatives) -> pl.DataFrame:
    """`ranked` (CANDIDATES) with the column `limit`: what a negative may score at most beside the query's positive in
    any of the languages that the query is ranked in."""
    positive = pl.col("positive_score").cast(pl.Float64)
    # |positive|, or the margin would turn round for negative scores (sentence-transformers#3819).
    margins = ((strategy.absolute_margin, pl.lit(1.0)), (strategy.relative_margin, positive.abs()))
    most = pl.min_horizontal(positive - margin * unit for margin, unit in margins if margin is not None)
    return ranked.with_columns(limit=most.min().over("query", "query_lang"))


def beyond(queries: pl.Series, candidates: np.ndarray, served: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where a candidate scores above the limit in a list of `served` (CANDIDATES with `limit`), and where it is not in
    a list that ends above it, so that nothing says that it is below.

    Twice bool, the shape of `candidates` [queries, ranks]. A query is held against those lists that it has.
    """
    above, unlisted = np.zeros(candidates.shape, bool), np.zeros(candidates.shape, bool)
    asked = queries.to_frame("query").with_row_index("row")
    for _, lists in served.group_by("query_lang", "corpus_lang", maintain_order=True):
        own = asked.join(lists, on="query", maintain_order="left")
        rows = own["row"].to_numpy()
        scores, listed = scored(candidates[rows], own)
        over = scores > own["limit"].to_numpy()[:, None]
        above[rows] |= over & listed
        unlisted[rows] |= over & ~listed
    return above, unlisted & ~above


def above_positive(
    table: pl.DataFrame, ranked: pl.DataFrame, pool: pl.Series, languages: list[str]
) -> dict[str, float]:
    """For each composition, the share of its negatives in `table` (NEGATIVES) that score above the triple's positive.

    One outside the teacher's list counts with the list's last score, the most that it can have.
    """
    numbers = pool.to_frame("passage").with_row_index("number")
    shares = {}
    for slots in compositions(languages):
        kept = table.filter(query_lang=slots.query, corpus_lang=slots.negative)
        lists = ranked.filter(query_lang=slots.query, corpus_lang=slots.negative)
        beside = ranked.filter(query_lang=slots.query, corpus_lang=slots.positive).select("query", own="positive_score")
        kept = kept.join(lists.drop("query_lang", "corpus_lang"), on="query").join(beside, on="query")
        if kept.is_empty():
            continue
        named = kept["negatives"].explode().to_frame("passage")
        found = named.join(numbers, on="passage", how="left", maintain_order="left")["number"]
        scores, _ = scored(found.to_numpy().reshape(kept.height, -1), kept)
        shares[slots.name] = round(float((scores > kept["own"].to_numpy()[:, None]).mean()), 5)
    return shares
