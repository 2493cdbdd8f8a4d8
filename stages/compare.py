"""compare: which model is better, by how much, and how sure that is.

Models are chosen on `compare.select_on` alone; every other benchmark only reports. Each model is compared with the base
and with the best single recipe in each task group, on queries: a query's value is its mean over the group's tasks, so
that one query asked in two languages counts once.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from stages.shared import errors, models, params, seeds, tables
from stages.shared.languages import BIAS, GROUPS, composition, task_groups
from stages.shared.params import Compare

log = logging.getLogger("compare")
SCORES = Path("data/scores")
SUMMARY = Path("metrics/summary.json")
TABLES = Path("metrics/tables")


def main() -> None:
    settings, languages, seed, benchmarks, recipes, merges = params.read(
        "compare", "languages", "seed", "benchmarks", "recipes", "merges"
    )
    groups = task_groups(languages)
    names = models.names(recipes, merges)
    scores = pl.concat(
        tables.read(SCORES / f"{name}.parquet", tables.QUERY_SCORES).select(pl.lit(name).alias("model"), pl.all())
        for name in names
    )
    values = scores.filter(pl.col("metric") == settings.metric)
    gaps = scores.filter(pl.col("metric") == BIAS)
    means = model_means(values, gaps, groups)
    best, chosen = (choose(means, settings.select_on, of) for of in (list(recipes), names))
    tests = pl.concat(
        test(values, groups, benchmark, names, ["base", best], settings, seed) for benchmark in benchmarks
    )
    kinds = {"base": "base", **dict.fromkeys(recipes, "recipe"), **dict.fromkeys(merges, "merge")}
    front = {b: pareto(means.filter(benchmark=b)) for b in benchmarks}
    matches = {
        name: any(composition(c, languages).query_negatives_match for c in recipe.compositions)
        for name, recipe in recipes.items()
    }
    tradeoff = means.with_columns(
        kind=pl.col("model").replace_strict(kinds),
        query_negatives_match=pl.col("model").replace_strict(matches, default=False),
        pareto=pl.struct("benchmark", "model").map_elements(
            lambda row: row["model"] in front[row["benchmark"]], pl.Boolean
        ),
    )
    written = {
        "tradeoff": tradeoff,
        "bias": tradeoff.select("benchmark", "model", BIAS).drop_nulls(),
        "tasks": task_means(values),
        "significance": tests,
    }
    for kind, table in written.items():
        with tables.replacing(TABLES / kind) as draft:
            draft.mkdir()
            for benchmark in benchmarks:
                own = table.filter(benchmark=benchmark).drop("benchmark")
                own.write_csv(draft / f"{benchmark}.csv", line_terminator="\n")
    tables.write_json(_summary(tradeoff, settings, best, chosen), SUMMARY)
    log.info(f"best single recipe on {settings.select_on}: {best}; best model: {chosen}")


def task_means(values: pl.DataFrame) -> pl.DataFrame:
    """Columns benchmark, model, task, value."""
    means = values.group_by("benchmark", "model", "task", maintain_order=True).agg(pl.col("value").mean())
    return means.with_columns(pl.col("value").round(5))


def model_means(values: pl.DataFrame, gaps: pl.DataFrame, groups: dict[str, str]) -> pl.DataFrame:
    """Columns benchmark, model, then mono, cross, multi (means over tasks) and language_bias; null where a benchmark
    has no such task."""
    by_task = values.group_by("benchmark", "model", "task", maintain_order=True).agg(pl.col("value").mean())
    grouped = by_task.with_columns(group=pl.col("task").replace_strict(groups))
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
    per_query = (
        values.filter(pl.col("benchmark") == benchmark)
        .with_columns(group=pl.col("task").replace_strict(groups))
        .group_by("group", "model", "query")
        .agg(pl.col("value").mean())
        .sort("group", "model", "query")
    )
    rows = []
    for group in (g for g in GROUPS if g in set(per_query["group"])):
        own = per_query.filter(group=group)
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
                rows.append((benchmark, group, name, reference, size, float(difference.mean()), low, high, p))
    names_of = ["benchmark", "group", "model", "reference", "queries", "difference", "low", "high", "p"]
    table = pl.DataFrame(rows, schema=names_of, orient="row")
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


def _summary(tradeoff: pl.DataFrame, settings: Compare, best: str, chosen: str) -> dict:
    tree: dict = {
        "metric": settings.metric,
        "selected_on": settings.select_on,
        "best_recipe": best,
        "chosen_model": chosen,
    }
    for row in tradeoff.iter_rows(named=True):
        wanted = {key: row[key] for key in (*GROUPS, BIAS) if row[key] is not None}
        tree.setdefault(row["benchmark"], {})[row["model"]] = wanted
    return tree


if __name__ == "__main__":
    errors.run(main)
