"""compare: which model is better, by how much, and how sure that is.

Models are chosen on `compare.select_on` alone; every other benchmark only reports. Each model is compared with the base
and with the best single recipe in each task group, on queries: a query's value is its mean over the group's tasks, so
that one query asked in two languages counts once.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import polars as pl

from stages.compare import choice, contamination, scored, significance
from stages.schemas.comparison import BIAS_TABLE, SIGNIFICANCE_TABLE, TASKS_TABLE, TRADEOFF_TABLE
from stages.schemas.scores import QUERY_SCORES, SCORES_FOLDER
from stages.schemas.summary import SUMMARY_FILE
from stages.settings.benchmarks import read_benchmarks
from stages.settings.compare import Compare, read_compare
from stages.settings.languages import read_languages
from stages.settings.merges import read_merges
from stages.settings.reading import read_names
from stages.settings.recipes import read_recipes
from stages.settings.seed import read_seed
from stages.shared import errors, models, tables
from stages.shared.compositions import composition
from stages.shared.errors import UserError
from stages.shared.tasks import BIAS, GROUPS, measured, task_groups

log = logging.getLogger("compare")
TABLES_FOLDER = Path("metrics/tables")


def main() -> None:
    if sys.argv[1:]:
        raise UserError("compare takes no options: experiments are set side by side by `python -m tools.experiments`")
    settings, languages, seed = read_compare(), read_languages(), read_seed()
    benchmarks, recipes, merges = read_benchmarks(), read_recipes(), read_merges()
    contaminated = contamination.read(benchmarks, list(recipes))
    groups = task_groups(measured(languages, benchmarks))
    references = [*read_names("references"), *read_names("fusions")]
    # References are measured and tested as models are, but none is chosen, nor bars a model from the front.
    own = models.names(recipes, merges)
    names = [*own, *references]
    scores = pl.concat(
        tables.read(SCORES_FOLDER / f"{name}.parquet", QUERY_SCORES).select(pl.lit(name).alias("model"), pl.all())
        for name in names
    )
    metrics = {name: benchmark.metric or settings.metric for name, benchmark in benchmarks.items()}
    values = scores.filter(pl.col("metric") == pl.col("benchmark").replace_strict(metrics, default=None))
    means = scored.read(names, list(benchmarks))
    worth = scored.by_model(means, metrics)
    best, chosen = (choice.choose(worth, settings.select_on, of) for of in (list(recipes), own))
    tests = pl.concat(
        significance.test(values, groups, benchmark, names, [models.BASE_NAME, best], settings, seed)
        for benchmark in benchmarks
    )
    kinds = {
        models.BASE_NAME: "base",
        **dict.fromkeys(recipes, "recipe"),
        **dict.fromkeys(merges, "merge"),
        **dict.fromkeys(references, "reference"),
    }
    front = {b: choice.pareto(worth.filter(pl.col("model").is_in(own), benchmark=b)) for b in benchmarks}
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
        "tradeoff": (tradeoff, TRADEOFF_TABLE),
        "bias": (tradeoff.drop_nulls(BIAS), BIAS_TABLE),
        "tasks": (scored.by_task(means, metrics), TASKS_TABLE),
        "significance": (tests, SIGNIFICANCE_TABLE),
    }
    for kind, (table, schema) in written.items():
        with tables.replacing(TABLES_FOLDER / kind) as draft:
            draft.mkdir()
            for benchmark in benchmarks:
                rows = table.filter(benchmark=benchmark).select(*schema)
                rows.write_csv(draft / f"{benchmark}.csv", line_terminator="\n")
    summary = _summary(tradeoff, settings, best, chosen)
    tables.write_json(summary | {"contamination": contamination.most(contaminated, benchmarks)}, SUMMARY_FILE)
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
