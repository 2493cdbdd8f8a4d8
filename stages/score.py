"""score: every run's metrics, as trec_eval computes them, and language bias (`shared/scoring.py`)."""

import logging

import polars as pl

from stages.schemas.benchmarks import BENCHMARK_QRELS, BENCHMARK_QUERIES, BENCHMARKS_FOLDER, POOLED
from stages.schemas.runs import RUNS_FOLDER
from stages.schemas.scores import MODEL_METRICS, QUERY_SCORES, REFERENCE_RECORDS, SCORES_FOLDER
from stages.settings.benchmarks import read_benchmarks
from stages.settings.languages import read_languages
from stages.settings.reading import read_names
from stages.settings.score import read_score
from stages.shared import errors, models, pool, runs, tables
from stages.shared.scoring import bias, per_query, summary
from stages.shared.tasks import measured, task_groups

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
            tables.read(BENCHMARKS_FOLDER / name / "pool.parquet", POOLED),
        )
        for name in benchmarks
    }
    # The base's ranks of relevant passages are known, unless they are not parallel or not all in the pool.
    parallel = {name for name in benchmarks if not runs.relevant(models.BASE_NAME, name).is_empty()}
    with tables.replacing(SCORES_FOLDER) as scores, tables.replacing(MODEL_METRICS) as metrics:
        for model in names:
            parts = []
            for name, (queries, qrels, pooled) in judged.items():
                run = runs.run(model, name)
                values = [per_query(run, queries, qrels, settings.metrics, pooled), bias(runs.relevant(model, name))]
                values += [pool.measured(run, qrels)] if name in parallel else []
                parts.append(pl.concat(values).select(pl.lit(name).alias("benchmark"), pl.all()))
            table = pl.concat(parts)
            tables.write(table.select(*QUERY_SCORES), scores / f"{model}.parquet", QUERY_SCORES)
            tables.write_json(summary(table, task_groups(measured(languages, benchmarks))), metrics / f"{model}.json")
    tables.write_json(runs.records(references, fusions, reranked), REFERENCE_RECORDS)
    log.info(f"{len(names)} models on {', '.join(benchmarks)}: {', '.join(settings.metrics)}")


if __name__ == "__main__":
    errors.run(main)
