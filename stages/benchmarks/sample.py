"""A benchmark made smaller: the same names are drawn whatever their order, their neighbours and their number."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse

from stages.shared import seeds


def draw(names: pl.Series, count: int | None, seed: int) -> pl.Series:
    """`count` of the distinct `names`, or all if there are not as many; parallel texts, of one name, stay together."""
    return ordered(names, seed)["name"].head(names.len() if count is None else count)


def passages(names: pl.Series, qrels: pl.DataFrame, by_label: bool, count: int, seed: int) -> pl.Series:
    """`count` of the passages, or as many more as are needed: all that are relevant stay, so that only distractors are
    fewer. With labels, by which most passages are relevant, one of each label stays."""
    order = ordered(names, seed)
    relevant = qrels.select("query", "lang", name="passage").unique().join(order, on="name")
    if by_label:
        relevant = relevant.group_by("query", "lang").agg(pl.all().sort_by("drawn", "name").first())
    kept = order.with_columns(pl.col("name").is_in(relevant["name"].unique().implode()).alias("stays"))
    # False sorts before True.
    kept = kept.sort(~pl.col("stays"), "drawn", "name")
    return kept["name"].head(max(count, int(kept["stays"].sum())))


def ordered(names: pl.Series, seed: int) -> pl.DataFrame:
    """The distinct names (columns name, drawn) in the order in which they are drawn."""
    distinct = names.unique().sort().alias("name")
    drawn = pl.Series("drawn", seeds.numbers(seed, distinct.to_list()))
    return pl.DataFrame([distinct, drawn]).sort("drawn", "name")


def pool(passages: pl.DataFrame, qrels: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Each document in one of its languages (passage, lang; sorted), each as likely: the pool of arXiv 2305.05295.

    A document is a passage's id; and ids that answer the same query, each in a language of its own, are one (sentences
    of XQuAD-R have other numbers in other languages), so that each query keeps one answer of them.
    """
    names = passages["passage"].unique().sort().to_frame("passage").with_row_index("number")
    relevant = qrels.filter(pl.col("relevance") > 0).join(names, on="passage")
    single = relevant.filter(pl.len().over("query", "lang").max().over("query") == 1)
    linked = single.select("number", first=pl.col("number").min().over("query"))
    places = (linked["number"].to_numpy(), linked["first"].to_numpy())
    edges = sparse.coo_array((np.ones(linked.height), places), (names.height, names.height))
    _, documents = sparse.csgraph.connected_components(edges, directed=False)
    rows = passages.select("passage", "lang").join(names.with_columns(document=documents), on="passage")
    # A document has the name of its first id.
    rows = rows.with_columns(name=pl.col("passage").min().over("document"))
    spoken = rows.group_by("name").agg(pl.col("lang").unique().sort()).sort("name")
    drawn = pl.Series("drawn", seeds.numbers(f"{seed}/pool", spoken["name"].to_list()))
    chosen = spoken.select("name", lang=pl.col("lang").list.get(drawn % pl.col("lang").list.len()))
    return rows.join(chosen, on=["name", "lang"], how="semi").select("passage", "lang").sort("passage", "lang")
