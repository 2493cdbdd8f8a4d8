"""What a model is worth on a benchmark, and which models are best."""

from __future__ import annotations

import polars as pl

from stages.shared.languages import BIAS, GROUPS


def by_task(values: pl.DataFrame) -> pl.DataFrame:
    """Columns benchmark, model, task, value."""
    means = values.group_by("benchmark", "model", "task", maintain_order=True).agg(pl.col("value").mean())
    return means.with_columns(pl.col("value").round(5))


def by_model(values: pl.DataFrame, gaps: pl.DataFrame, groups: dict[str, str]) -> pl.DataFrame:
    """Columns benchmark, model, then mono, cross, multi (means over tasks) and language_bias; null where a benchmark
    has no such task."""
    tasks = values.group_by("benchmark", "model", "task", maintain_order=True).agg(pl.col("value").mean())
    grouped = tasks.with_columns(group=pl.col("task").replace_strict(groups))
    wide = grouped.group_by("benchmark", "model", maintain_order=True).agg(
        pl.col("value").filter(pl.col("group") == group).mean().round(5).alias(group) for group in GROUPS
    )
    biases = (
        gaps.group_by("benchmark", "model", "task")
        .agg(pl.col("value").mean())
        .group_by("benchmark", "model")
        .agg(pl.col("value").mean().round(2).alias(BIAS))
    )
    return wide.join(biases, on=["benchmark", "model"], how="left", maintain_order="left")


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
