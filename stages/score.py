"""score: every run's metrics, means of task groups, and language bias."""

import logging

import polars as pl

from stages.schemas.benchmarks import BENCHMARK_QRELS, BENCHMARK_QUERIES, BENCHMARKS_FOLDER
from stages.schemas.runs import RUNS_FOLDER
from stages.schemas.scores import BIAS_MEDIAN, MODEL_METRICS, QUERY_SCORES, REFERENCE_RECORDS, SCORES_FOLDER
from stages.settings.benchmarks import read_benchmarks
from stages.settings.languages import read_languages
from stages.settings.reading import read_names
from stages.settings.score import read_score
from stages.shared import errors, models, runs, tables
from stages.shared.evaluation import per_query
from stages.shared.rounding import rounded
from stages.shared.tasks import BIAS, GROUPS, measured, task_groups

log = logging.getLogger("score")


def main() -> None:
    settings, languages, benchmarks = read_score(), read_languages(), read_benchmarks()
    references = [*read_names("references"), *read_names("translated")]
    fusions, reranked = read_names("fusions"), read_names("rerank")
    names = models.rows(read_names("recipes"), read_names("merges"), references, fusions, reranked)
    for stale in sorted({f.name for f in RUNS_FOLDER.iterdir()} - set(names)):
        log.warning(f"data/runs/{stale} is of no model in params.yaml and left out: `python -m tools.tidy` removes it")
    judged = {
        name: (
            tables.read(BENCHMARKS_FOLDER / name / "queries.parquet", BENCHMARK_QUERIES),
            tables.read(BENCHMARKS_FOLDER / name / "qrels.parquet", BENCHMARK_QRELS),
        )
        for name in benchmarks
    }
    with tables.replacing(SCORES_FOLDER) as scores, tables.replacing(MODEL_METRICS) as metrics:
        for model in names:
            parts = []
            for name, (queries, qrels) in judged.items():
                run = runs.run(model, name)
                values = pl.concat([per_query(run, queries, qrels, settings.metrics), bias(runs.relevant(model, name))])
                parts.append(values.select(pl.lit(name).alias("benchmark"), pl.all()))
            table = pl.concat(parts)
            tables.write(table.select(*QUERY_SCORES), scores / f"{model}.parquet", QUERY_SCORES)
            tables.write_json(summary(table, task_groups(measured(languages, benchmarks))), metrics / f"{model}.json")
    tables.write_json(runs.records(references, fusions, reranked), REFERENCE_RECORDS)
    log.info(f"{len(names)} models on {', '.join(benchmarks)}: {', '.join(settings.metrics)}")


def bias(relevant: pl.DataFrame) -> pl.DataFrame:
    """Language bias of each query (arXiv 2408.10536, section 4): worst minus best rank of its parallel relevant
    passages in the pool of all languages; of two, at least 1.

    Parallel are those of one id and, if no language has more than one, all (XQuAD-R's sentences have ids of their own).
    Of several parallel sets the mean counts; queries whose relevant passages are in one language only have none.
    """
    single = pl.len().over("task", "query", "lang").max().over("task", "query") == 1
    return (
        relevant.with_columns(parallel=pl.when(single).then(pl.lit("")).otherwise(pl.col("passage")))
        .group_by("task", "query", "parallel")
        .agg(
            (pl.col("rank").max() - pl.col("rank").min()).cast(pl.Float64).alias("value"),
            pl.col("lang").n_unique(),
        )
        .filter(pl.col("lang") > 1)
        .sort("task", "query", "parallel")
        .group_by("task", "query", maintain_order=True)
        .agg(pl.col("value").mean())
        .select("task", "query", pl.lit(BIAS).alias("metric"), "value")
    )


def summary(values: pl.DataFrame, groups: dict[str, str]) -> dict:
    """{benchmark: {task or group: {metric: mean}, language_bias: mean, language_bias_median: median}}: over queries,
    then the mean over tasks.

    `groups` gives each task's group, mono, cross or multi.
    """
    means = values.group_by("benchmark", "task", "metric", maintain_order=True).agg(pl.col("value").mean())
    tree: dict = {}
    for benchmark, task, metric, value in means.iter_rows():
        tree.setdefault(benchmark, {}).setdefault(task, {})[metric] = value
    gaps = values.filter(metric=BIAS).group_by("benchmark", "task", maintain_order=True).agg(pl.col("value").median())
    for benchmark, task, value in gaps.iter_rows():
        tree[benchmark][task][BIAS_MEDIAN] = value
    for by_task in tree.values():
        biases = {
            measure: [row.pop(measure) for row in by_task.values() if measure in row] for measure in (BIAS, BIAS_MEDIAN)
        }
        members: dict[str, list[dict]] = {}
        for name, row in by_task.items():
            members.setdefault(groups[name], []).append(row)
        for group in (g for g in GROUPS if g in members):
            rows = members[group]
            by_task[group] = {metric: sum(r[metric] for r in rows) / len(rows) for metric in rows[0]}
        for name in list(by_task):
            by_task[name] = {metric: rounded(value, metric) for metric, value in by_task[name].items()}
        by_task.update({m: rounded(sum(own) / len(own), m) for m, own in biases.items() if own})
    return tree


if __name__ == "__main__":
    errors.run(main)
