"""validation: what training is measured on while it runs, of one benchmark the chosen tasks; or nothing.

`train` depends on what is written here and on no benchmark: where `train.early_stopping` is null, that is the same
whatever the benchmarks are, and else a change of another benchmark, or of what is not measured, trains nothing.
"""

import logging

import polars as pl

from stages.schemas.runs import DOCUMENT_ID
from stages.schemas.validation import VALIDATION_FOLDER, VALIDATION_PASSAGES, VALIDATION_TABLES
from stages.settings.early_stopping import EarlyStopping, read_early_stopping
from stages.shared import errors, ranking, tables
from stages.shared.errors import UserError
from stages.shared.passages import passage_text
from stages.shared.ranking import Tables
from stages.shared.tasks import GROUPS, Task, tasks

log = logging.getLogger("validation")


def main() -> None:
    settings = read_early_stopping()
    found = [pl.DataFrame(schema=schema) for schema in VALIDATION_TABLES.values()]
    if settings:
        benchmark = ranking.benchmark(settings.benchmark)
        found = measured(benchmark, chosen(benchmark, settings))
        log.info(f"{settings.benchmark}: {found[0].height:,} queries, {found[1].height:,} passages")
    with tables.replacing(VALIDATION_FOLDER) as draft:
        for (name, schema), table in zip(VALIDATION_TABLES.items(), found, strict=True):
            tables.write(table.sort(list(schema)[:3]), draft / f"{name}.parquet", schema)


def chosen(benchmark: Tables, settings: EarlyStopping) -> list[Task]:
    """The tasks that `settings` name, by themselves or by their groups; raises `UserError` if `benchmark` lacks one, or
    ranks otherwise than by searching all passages."""
    name = settings.benchmark
    if not (benchmark.rerank.is_empty() and benchmark.identical.is_empty()):
        raise UserError(
            f"train.early_stopping.benchmark is {name!r}, whose queries leave passages out of what they search, which "
            "training does not heed: name another"
        )
    langs = [table["lang"].unique().sort().to_list() for table in (benchmark.queries, benchmark.passages)]
    known = tasks(*langs)
    for word in settings.tasks:
        if not any(word in (task.name, task.group) for task in known):
            raise UserError(
                f"train.early_stopping.tasks names {word!r}, which {name} does not have: name some of "
                f"{', '.join(task.name for task in known)}, or {', '.join(GROUPS)}"
            )
    return [task for task in known if {task.name, task.group} & set(settings.tasks)]


def measured(benchmark: Tables, wanted: list[Task]) -> list[pl.DataFrame]:
    """The tables of the tasks that are wanted, in the order of `VALIDATION_TABLES`."""
    asked, answers, searched = [], [], []
    for task in wanted:
        passages, qrels = benchmark.searched(task.corpus)
        own = benchmark.queries.filter(lang=task.query)
        relevant = qrels.filter(pl.col("relevance") > 0).join(own, on="query", how="semi")
        named = pl.lit(task.name).alias("task")
        asked.append(
            own.join(relevant, on="query", how="semi").select(
                named, pl.lit(task.corpus).alias("corpus"), "query", "text"
            )
        )
        answers.append(relevant.select(named, "query", DOCUMENT_ID.alias("document")))
        searched.append(passages.select("passage", "lang"))
    pool = benchmark.passages.select("passage", "lang") if benchmark.pool.is_empty() else benchmark.pool
    passages = benchmark.passages.join(pl.concat(searched).unique(), on=["passage", "lang"], how="semi")
    passages = passages.join(pool.with_columns(pooled=True), on=["passage", "lang"], how="left")
    passages = passages.with_columns(DOCUMENT_ID.alias("document"), pl.col("pooled").fill_null(False), passage_text())
    documents = passages.select(*VALIDATION_PASSAGES)
    return [pl.concat(asked), documents, pl.concat(answers)]


if __name__ == "__main__":
    errors.run(main)
