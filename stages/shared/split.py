"""The split of passages into train, dev and test, stratified and seeded by passage id."""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.schemas.texts import SPLITS
from stages.settings.split import Split
from stages.shared import seeds


def assign(passages: pl.DataFrame, shares: Split, seed: int) -> pl.DataFrame:
    """Add the column `split`; all languages of a passage get the same.

    Within a stratum passages stand in an order drawn by (seed, id). Each stratum gives test and dev their share,
    rounded down, what is left over being carried to the next stratum: so totals are right to one passage however
    small the strata are.
    """
    groups = passages.select("stratum", "passage").unique().sort("stratum", "passage")
    strata = groups["stratum"].rle_id().to_numpy()
    orders = np.fromiter((seeds.number(seed, "split", name) for name in groups["passage"]), np.uint64, len(groups))
    splits = draw(strata, orders, np.ones(len(groups), np.int64), shares)
    return passages.join(groups.select("passage", split=named(splits)), on="passage")


def named(splits: np.ndarray) -> pl.Series:
    """The names of splits given by number."""
    return pl.Series("split", splits).replace_strict(dict(enumerate(SPLITS)), return_dtype=pl.String)


def draw(strata: np.ndarray, orders: np.ndarray, sizes: np.ndarray, shares: Split) -> np.ndarray:
    """For each of n families of passages the number of its split in `SPLITS`: uint8, shape [n].

    `strata`: int, [n], in whose order strata are gone through; `orders`: uint64, [n]; `sizes`: int, [n], passages of
    the families. A split takes the next families as long as they fit into what it is owed, and passes over those that
    do not: a family too large for test is trained on.
    """
    splits = np.full(len(strata), SPLITS.index("train"), np.uint8)
    owed = {"test": 0.0, "dev": 0.0}
    sorting = np.lexsort((orders, strata))
    for members in np.split(sorting, np.flatnonzero(np.diff(strata[sorting])) + 1):
        total = int(sizes[members].sum())
        for split in owed:
            owed[split] += getattr(shares, split) * total
            taken = _fitting(sizes[members], owed[split] + 1e-9)
            owed[split] -= int(sizes[members[taken]].sum())
            splits[members[taken]] = SPLITS.index(split)
            members = np.delete(members, taken)
    return splits


def _fitting(sizes: np.ndarray, room: float) -> np.ndarray:
    """Which of `sizes`, one after the other, still fit into `room`."""
    ends = np.cumsum(sizes)
    taken = []
    start, used = 0, 0
    while start < len(sizes) and room >= 1:
        # As many as fit together, then the one that does not is passed over.
        stop = int(np.searchsorted(ends, used + room, side="right"))
        taken.append(np.arange(start, stop))
        room -= int(sizes[start:stop].sum())
        used = int(ends[stop]) if stop < len(sizes) else 0
        start = stop + 1
    return np.concatenate([np.zeros(0, np.int64), *taken])
