"""Models compared over several seeds, paired on queries."""

from __future__ import annotations

import polars as pl

from stages.compare import significance
from stages.settings.compare import Compare


def over_seeds(
    values: pl.DataFrame, groups: dict[str, str], reference: str, settings: Compare, seed: int
) -> pl.DataFrame:
    """`significance.pairs` of one benchmark's values by one metric, with a column `seed`: of each query's mean over the
    seeds in which it was asked. Also their number, `seeds`, and in how many the difference has the same sign,
    `same_sign`."""
    names = values["model"].unique(maintain_order=True).to_list()
    by_seed = pl.concat(
        significance.by_query(own, groups).with_columns(seed=pl.lit(number))
        for (number,), own in values.group_by("seed", maintain_order=True)
    )
    asked = by_seed.group_by("group", "model", "query", maintain_order=True).agg(pl.col("value").mean())
    table = significance.pairs(
        asked.sort("group", "model", "query"), values["benchmark"][0], names, [reference], settings, seed
    )
    means = by_seed.group_by("group", "seed", "model").agg(pl.col("value").mean())
    apart = means.join(means.filter(model=reference), on=["group", "seed"], suffix="_reference")
    signs = apart.select("group", "model", sign=(pl.col("value") - pl.col("value_reference")).sign())
    agreeing = (
        table.join(signs, on=["group", "model"])
        .group_by("group", "model")
        .agg(seeds=pl.len(), same_sign=(pl.col("sign") == pl.col("difference").sign()).sum())
    )
    return table.join(agreeing, on=["group", "model"], how="left", maintain_order="left")
