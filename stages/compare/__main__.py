"""compare: which model is better, by how much, and how sure that is.

Models are chosen on `compare.select_on` alone; every other benchmark only reports. Each model is compared with the base
and with the best single recipe in each task group, on queries: a query's value is its mean over the group's tasks, so
that one query asked in two languages counts once. What a re-ranker ranked again is compared with its own first stage as
well: else nothing would tell what the re-ranker adds. Language bias is compared like a task group. Contrasts that are
planned (`compare.contrasts`) are tested by themselves, by domain too, beside what each model cost.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import polars as pl

from stages.compare import choice, contamination, contrasts, costs, scored, significance
from stages.schemas.comparison import (
    BIAS_TABLE,
    CONTRASTS_TABLE,
    COSTS_FILE,
    DOMAINS_TABLE,
    SIGNIFICANCE_TABLE,
    TASKS_TABLE,
    TRADEOFF_TABLE,
)
from stages.schemas.scores import BIAS_MEDIAN, QUERY_SCORES, SCORES_FOLDER
from stages.schemas.summary import SUMMARY_FILE, Choice, Lead, ahead
from stages.settings.benchmarks import read_benchmarks
from stages.settings.compare import Compare, read_compare
from stages.settings.domains import read_domains
from stages.settings.languages import read_languages
from stages.settings.merges import read_merges
from stages.settings.reading import read_names
from stages.settings.recipes import read_recipes
from stages.settings.rerank import read_rerank
from stages.settings.seed import read_seed
from stages.settings.train import read_batch_size, read_steps
from stages.shared import collection, domains, errors, models, seeds, tables
from stages.shared.compositions import selected
from stages.shared.errors import UserError
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS, measured, task_groups

log = logging.getLogger("compare")
TABLES_FOLDER = Path("metrics/tables")
TRAINSETS_REPORT = Path("metrics/trainsets.json")


def main() -> None:
    if sys.argv[1:]:
        raise UserError("compare takes no options: experiments are set side by side by `python -m tools.experiments`")
    settings, languages, seed = read_compare(), read_languages(), read_seed()
    benchmarks, recipes, merges = read_benchmarks(), read_recipes(), read_merges()
    contaminated = contamination.read(benchmarks, [*recipes, *read_names("rerankers")])
    groups = task_groups(measured(languages, benchmarks))
    references = [*read_names("references"), *read_names("translated"), *read_names("fusions")]
    reranked = read_rerank()
    # References are measured and tested as models are, but none is chosen, nor bars a model from the front.
    own = models.names(recipes, merges)
    names = [*own, *references, *reranked]
    scores = pl.concat(
        tables.read(SCORES_FOLDER / f"{name}.parquet", QUERY_SCORES).select(pl.lit(name).alias("model"), pl.all())
        for name in names
    )
    metrics = {name: benchmark.metric or settings.metric for name, benchmark in benchmarks.items()}
    measured_by = pl.col("benchmark").replace_strict(metrics, default=None)
    values = scores.filter((pl.col("metric") == measured_by) | (pl.col("metric") == BIAS))
    means = scored.read(names, list(benchmarks))
    worth = scored.by_model(means, metrics)
    asked = significance.by_query(values.filter(benchmark=settings.select_on), groups)
    selecting = choice.selecting(worth, asked, settings)
    best = next(iter(selecting.ranked(list(recipes))))
    chosen, how = choice.choose(selecting, own, merges, settings, seed)
    left = [name for name in own if not any(name in dropped for dropped in how["dropped"].values())]
    leads = {
        "best_recipe": choice.lead(selecting, best, list(recipes)),
        "chosen_model": choice.lead(selecting, chosen, left),
    }
    compared = [(name, reference) for reference in (models.BASE_NAME, best) for name in names if name != reference]
    firsts = [(name, row.first_row) for name, row in reranked.items()]
    compared += [pair for pair in firsts if pair not in compared]
    tests = pl.concat(
        significance.test(values, groups, benchmark, compared, settings, seed) for benchmark in benchmarks
    )
    about = _about(languages)
    planned, by_domain = [], []
    for benchmark, own_settings in benchmarks.items():
        known = about if own_settings.source == "held-out" else about.clear()
        parts = contrasts.by_domain(significance.by_query(values.filter(benchmark=benchmark), groups), known)
        tested = contrasts.tests(parts, benchmark, settings.contrasts, settings, seed)
        by_domain.append(contrasts.means(parts, names).with_columns(benchmark=pl.lit(benchmark)))
        planned.append(tested.with_columns(benchmark=pl.lit(benchmark)))
    trained_on = tables.read_json(TRAINSETS_REPORT)["recipes"]
    cost = costs.costs(recipes, merges, trained_on, read_steps(), read_batch_size())
    kinds = {
        models.BASE_NAME: "base",
        **dict.fromkeys(recipes, "recipe"),
        **dict.fromkeys(merges, "merge"),
        **dict.fromkeys(references, "reference"),
        **dict.fromkeys(reranked, "re-ranked"),
    }
    front = {b: choice.pareto(worth.filter(pl.col("model").is_in(own), benchmark=b)) for b in benchmarks}
    matches = {
        name: any(slots.query_negatives_match for slots in selected(recipe.compositions, languages))
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
        "bias": (_bias(worth, values, groups, settings, seed), BIAS_TABLE),
        "tasks": (scored.by_task(means, metrics), TASKS_TABLE),
        "significance": (tests, SIGNIFICANCE_TABLE),
        "domains": (pl.concat(by_domain), DOMAINS_TABLE),
        "contrasts": (pl.concat(planned), CONTRASTS_TABLE),
    }
    for kind, (table, schema) in written.items():
        with tables.replacing(TABLES_FOLDER / kind) as draft:
            draft.mkdir()
            for benchmark in benchmarks:
                rows = table.filter(benchmark=benchmark).select(*schema)
                rows.write_csv(draft / f"{benchmark}.csv", line_terminator="\n")
    tables.write_json(cost, COSTS_FILE)
    summary = _summary(tradeoff, settings, best, chosen, leads, how)
    tables.write_json(summary | {"contamination": contamination.most(contaminated, benchmarks)}, SUMMARY_FILE)
    for group, dropped in how["dropped"].items():
        log.info(f"compare.choose.constraints.{group} drops {', '.join(dropped) or 'none'}")
    if chosen != how["best"]:
        log.info(f"{how['best']} is best, but tied with {chosen}, which is cheaper")
    for title, name, lead in (
        ("best single recipe", best, leads["best_recipe"]),
        ("best model", chosen, leads["chosen_model"]),
    ):
        log.info(f"{title} on {settings.select_on}: {name}{', ' + ahead(lead) if lead else ''}")


def _about(languages: list[str]) -> pl.DataFrame:
    """Columns query and domain, of the collection's queries; how many are of no domain is told."""
    named = read_domains()
    if not named:
        return pl.DataFrame(schema={"query": pl.String, "domain": pl.String})
    stored = collection.read(languages)
    about = domains.of_queries(named, stored)
    if beyond := stored.queries["query"].n_unique() - about["query"].n_unique():
        log.info(f"{beyond:,} queries are of no domain")
    # In the order of params.
    return about.sort(pl.col("domain").cast(pl.Enum(list(named))), "query")


def _bias(
    worth: pl.DataFrame, values: pl.DataFrame, groups: dict[str, str], settings: Compare, seed: int
) -> pl.DataFrame:
    """The models' language bias, with the interval of its mean over queries; of the benchmarks that have it."""
    tables = []
    for (benchmark,), rows in worth.drop_nulls(BIAS).group_by("benchmark", maintain_order=True):
        asked = significance.by_query(values.filter(benchmark=benchmark, metric=BIAS), groups)
        columns = np.stack([asked.filter(model=name)["value"].to_numpy() for name in rows["model"]], axis=1)
        # The resamples of the differences.
        ends = significance.intervals(columns, settings, seeds.number(seed, "bootstrap", str(benchmark), BIAS))
        low, high = (pl.Series([rounded(value, BIAS) for value in end]) for end in ends)
        tables.append(rows.with_columns(low=low, high=high))
    return pl.concat(tables) if tables else worth.clear().with_columns(low=0.0, high=0.0)


def _summary(
    tradeoff: pl.DataFrame, settings: Compare, best: str, chosen: str, leads: dict[str, Lead | None], how: Choice
) -> dict:
    tree: dict = {
        "metric": settings.metric,
        "selected_on": settings.select_on,
        "best_recipe": best,
        "chosen_model": chosen,
        "leads": leads,
        "choice": how,
    }
    for row in tradeoff.iter_rows(named=True):
        wanted = {key: row[key] for key in (*GROUPS, BIAS, BIAS_MEDIAN) if row[key] is not None}
        tree.setdefault(row["benchmark"], {})[row["model"]] = wanted
    return tree


if __name__ == "__main__":
    errors.run(main)
