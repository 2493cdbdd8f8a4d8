"""compare: which model is better, by how much, and how sure that is.

Models are chosen on `compare.select_on` alone; every other benchmark only reports. Each model is compared with the base
and with the best single recipe in each task group, on queries: a query's value is its mean over the group's tasks, so
that one query asked in two languages counts once. Where a recipe trains on more of a benchmark than its
`max_contamination`, nothing is compared.

python -m stages.compare --experiments sets finished experiments side by side instead.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import polars as pl

from stages.compare import contamination, means, significance
from stages.shared import errors, models, params, tables
from stages.shared.languages import BIAS, GROUPS, composition, measured, task_groups
from stages.shared.params import Compare

log = logging.getLogger("compare")
SCORES = Path("data/scores")
SUMMARY = Path("metrics/summary.json")
TABLES = Path("metrics/tables")


def main() -> None:
    if sys.argv[1:]:
        from stages.compare import experiments  # a tool, with options of its own

        experiments.main()
    else:
        compare()


def compare() -> None:
    settings, languages, seed, benchmarks, recipes, merges = params.read(
        "compare", "languages", "seed", "benchmarks", "recipes", "merges"
    )
    contaminated = contamination.read(benchmarks, list(recipes))
    contamination.check(contaminated, benchmarks, list(recipes))
    groups = task_groups(measured(languages, benchmarks))
    names = models.names(recipes, merges)
    scores = pl.concat(
        tables.read(SCORES / f"{name}.parquet", tables.QUERY_SCORES).select(pl.lit(name).alias("model"), pl.all())
        for name in names
    )
    metrics = {name: benchmark.metric or settings.metric for name, benchmark in benchmarks.items()}
    values = scores.filter(pl.col("metric") == pl.col("benchmark").replace_strict(metrics, default=None))
    gaps = scores.filter(pl.col("metric") == BIAS)
    worth = means.by_model(values, gaps, groups)
    best, chosen = (means.choose(worth, settings.select_on, of) for of in (list(recipes), names))
    tests = pl.concat(
        significance.test(values, groups, benchmark, names, ["base", best], settings, seed) for benchmark in benchmarks
    )
    kinds = {"base": "base", **dict.fromkeys(recipes, "recipe"), **dict.fromkeys(merges, "merge")}
    front = {b: means.pareto(worth.filter(benchmark=b)) for b in benchmarks}
    matches = {
        name: any(composition(c, languages).query_negatives_match for c in recipe.compositions)
        for name, recipe in recipes.items()
    }
    tradeoff = worth.with_columns(
        kind=pl.col("model").replace_strict(kinds),
        query_negatives_match=pl.col("model").replace_strict(matches, default=False),
        pareto=pl.struct("benchmark", "model").map_elements(
            lambda row: row["model"] in front[row["benchmark"]], pl.Boolean
        ),
    )
    written = {
        "tradeoff": tradeoff,
        "bias": tradeoff.select("benchmark", "model", BIAS).drop_nulls(),
        "tasks": means.by_task(values),
        "significance": tests,
    }
    for kind, table in written.items():
        with tables.replacing(TABLES / kind) as draft:
            draft.mkdir()
            for benchmark in benchmarks:
                own = table.filter(benchmark=benchmark).drop("benchmark")
                own.write_csv(draft / f"{benchmark}.csv", line_terminator="\n")
    summary = _summary(tradeoff, settings, best, chosen)
    tables.write_json(summary | {"contamination": contamination.most(contaminated, benchmarks)}, SUMMARY)
    log.info(f"best single recipe on {settings.select_on}: {best}; best model: {chosen}")


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
