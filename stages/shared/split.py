"""The split of passages into train, dev and test, stratified and seeded by passage id."""

from __future__ import annotations

import polars as pl

from stages.shared import seeds
from stages.shared.params import Split


def assign(passages: pl.DataFrame, shares: Split, seed: int) -> pl.DataFrame:
    """Add the column `split`; all languages of a passage get the same.

    Within a stratum passages stand in an order drawn by (seed, id). Each stratum gives test and dev their share,
    rounded down, what is left over being carried to the next stratum: so totals are right to one passage however
    small the strata are.
    """
    groups = passages.select("stratum", "passage").unique()
    owed = {"test": 0.0, "dev": 0.0}
    names, splits = [], []
    for stratum in groups["stratum"].unique().sort():
        members = groups.filter(pl.col("stratum") == stratum)["passage"].to_list()
        members.sort(key=lambda name: (seeds.number(seed, "split", name), name))
        names += members
        left = len(members)
        for split in owed:
            owed[split] += getattr(shares, split) * len(members)
            taken = min(int(owed[split] + 1e-9), left)
            owed[split] -= taken
            splits += [split] * taken
            left -= taken
        splits += ["train"] * left
    assigned = pl.DataFrame({"passage": names, "split": splits}, {"passage": pl.String, "split": pl.String})
    return passages.join(assigned, on="passage")
