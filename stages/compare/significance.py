"""Paired tests on queries, with intervals and corrected p-values."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from stages.settings.compare import Compare
from stages.shared import seeds
from stages.shared.tasks import GROUPS


def test(
    values: pl.DataFrame,
    groups: dict[str, str],
    benchmark: str,
    names: list[str],
    references: list[str],
    settings: Compare,
    seed: int,
) -> pl.DataFrame:
    """Each model against each reference in each task group: mean difference, its bootstrap interval, and the paired
    t-test's p, plain and corrected over all rows of the benchmark."""
    asked = by_query(values.filter(pl.col("benchmark") == benchmark), groups)
    table = pairs(asked, benchmark, names, references, settings, seed)
    return family(table.select(pl.lit(benchmark).alias("benchmark"), pl.all()), settings)


def by_query(values: pl.DataFrame, groups: dict[str, str]) -> pl.DataFrame:
    """Columns group, model, query and value, the mean over the group's tasks; sorted."""
    return (
        values.with_columns(group=pl.col("task").replace_strict(groups))
        .group_by("group", "model", "query")
        .agg(pl.col("value").mean())
        .sort("group", "model", "query")
    )


def pairs(
    values: pl.DataFrame, benchmark: str, names: list[str], references: list[str], settings: Compare, seed: int
) -> pl.DataFrame:
    """Columns group, model, reference, queries, difference, low, high and p, of the sorted values `by_query`."""
    rows = []
    for group in (g for g in GROUPS if g in set(values["group"])):
        own = values.filter(group=group)
        columns = {name: own.filter(model=name)["value"].to_numpy() for name in names}
        size = len(columns[names[0]])
        # The same resamples for every pair: their intervals then differ by the models alone.
        rng = np.random.default_rng(seeds.number(seed, "bootstrap", benchmark, group))
        drawn = rng.integers(size, size=(settings.resamples, size))
        for reference in references:
            for name in names:
                if name == reference:
                    continue
                difference = columns[name] - columns[reference]
                tail = (1 - settings.confidence) / 2
                low, high = np.quantile(difference[drawn].mean(axis=1), [tail, 1 - tail])
                p = float(stats.ttest_rel(columns[name], columns[reference]).pvalue) if difference.any() else 1.0
                p = p if np.isfinite(p) else 1.0
                rows.append((group, name, reference, size, float(difference.mean()), low, high, p))
    names_of = ["group", "model", "reference", "queries", "difference", "low", "high", "p"]
    return pl.DataFrame(rows, schema=names_of, orient="row")


def family(table: pl.DataFrame, settings: Compare) -> pl.DataFrame:
    """The tests of `pairs`, rounded, with p_corrected for the number of them all, and significant."""
    corrected = correct(table["p"].to_numpy(), settings.correction)
    return table.with_columns(
        pl.col("difference", "low", "high").round(5),
        p=_three_digits(table["p"].to_numpy()),
        p_corrected=_three_digits(corrected),
        significant=pl.Series(corrected < 1 - settings.confidence),
    )


def _three_digits(p: np.ndarray) -> pl.Series:
    return pl.Series([float(f"{value:.3g}") for value in p], dtype=pl.Float64)


def correct(p: np.ndarray, method: str) -> np.ndarray:
    """p-values corrected for their number: Bonferroni's, or Holm's step-down, never above 1."""
    if method == "bonferroni":
        return np.minimum(p * len(p), 1.0)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
