"""Which models are best: the choice on one benchmark, and the front of those that none beats."""

from __future__ import annotations

import polars as pl


def choose(means: pl.DataFrame, benchmark: str, names: list[str]) -> str:
    """The best of `names` on `benchmark` by the mean of mono and cross; of equals, the first named."""
    rows = means.filter(pl.col("benchmark") == benchmark, pl.col("model").is_in(names))
    return rows.sort(pl.mean_horizontal("mono", "cross"), descending=True, maintain_order=True)["model"][0]


def pareto(means: pl.DataFrame) -> set[str]:
    """The models that no other beats in mono or cross without losing in the other (one benchmark's rows)."""
    points = {row["model"]: (row["mono"] or 0.0, row["cross"] or 0.0) for row in means.iter_rows(named=True)}
    return {
        name
        for name, (mono, cross) in points.items()
        if not any(m >= mono and c >= cross and (m, c) != (mono, cross) for m, c in points.values())
    }
