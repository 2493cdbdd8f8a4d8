"""Which models are best: the choice on one benchmark, how sure it is, and the front of those that none beats."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from stages.schemas.summary import Lead
from stages.shared.rounding import rounded

CHOSEN_BY = ("mono", "cross")


def choose(means: pl.DataFrame, benchmark: str, names: list[str]) -> str:
    """The best of `names` on `benchmark` by the mean of mono and cross; of equals, the first named."""
    return _ranked(means, benchmark, names)["model"][0]


def lead(means: pl.DataFrame, asked: pl.DataFrame, benchmark: str, names: list[str]) -> Lead | None:
    """By how much the chosen of `names` is ahead of the next, and the standard error of that over queries; None for one
    name.

    `asked` has the benchmark's values by query, group and model. A query's value is its mean over the groups that are
    chosen by, and the error that of the mean of the two models' paired differences. It does not know that the two were
    picked as the first of many, so the lead is rather less sure than it says.
    """
    ranked = _ranked(means, benchmark, names)
    if ranked.height < 2:
        return None
    first, second = ranked["model"][:2]
    by_query = (
        asked.filter(pl.col("group").is_in(CHOSEN_BY), pl.col("model").is_in([first, second]))
        .with_columns(pl.col("value") * pl.when(model=first).then(1).otherwise(-1))
        .group_by("group", "query", maintain_order=True)
        .agg(pl.col("value").sum())
        .group_by("query", maintain_order=True)
        .agg(pl.col("value").mean())
    )
    gaps = by_query["value"].to_numpy()
    error = rounded(float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps))) if len(gaps) > 1 else None
    return {"over": second, "lead": rounded(ranked["worth"][0] - ranked["worth"][1]), "standard_error": error}


def _ranked(means: pl.DataFrame, benchmark: str, names: list[str]) -> pl.DataFrame:
    """The benchmark's rows of `names` with a column worth, the best first; equals as they come."""
    rows = means.filter(pl.col("benchmark") == benchmark, pl.col("model").is_in(names))
    return rows.with_columns(worth=pl.mean_horizontal(*CHOSEN_BY)).sort("worth", descending=True, maintain_order=True)


def pareto(means: pl.DataFrame) -> set[str]:
    """The models that no other beats in mono or cross without losing in the other (one benchmark's rows)."""
    points = {row["model"]: (row["mono"] or 0.0, row["cross"] or 0.0) for row in means.iter_rows(named=True)}
    return {
        name
        for name, (mono, cross) in points.items()
        if not any(m >= mono and c >= cross and (m, c) != (mono, cross) for m, c in points.values())
    }
