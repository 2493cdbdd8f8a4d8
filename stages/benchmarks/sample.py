"""A benchmark made smaller: the same names are drawn whatever their order, their neighbours and their number."""

from __future__ import annotations

import polars as pl

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
