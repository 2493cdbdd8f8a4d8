"""rerank: the best passages of a first stage, ranked again by a re-ranker that reads each with the query.

The first `depth` passages of every query are put in the order of the re-ranker's scores; what follows keeps the first
stage's order, below them. A score is the model's one number before any sigmoid, which would make the surest of them
equal; of equal scores the higher document id comes first, as in trec_eval. What follows has scores that fall by 1 a
rank, for metrics heed scores alone.

Language bias needs the ranks of all relevant passages in the pool: those within the depth have their new ranks, all
others those that the first stage gave them. Where those are not known (a fusion whose runs lack some), they are not
known here either.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.rerank.pairs import KeptPairs
from stages.schemas.runs import DOCUMENT_ID, RERANKED_FOLDER, RUN, RUN_RECORD
from stages.settings.rerank import read_reranked
from stages.shared import errors, member, models, query_normalizer, ranking, tables
from stages.shared.errors import UserError
from stages.shared.passages import passage_text
from stages.shared.ranking import Tables
from stages.shared.tasks import tasks

log = logging.getLogger("rerank")
LISTED = ["task", "query"]
FOUND = [*LISTED, "passage", "lang"]


def main() -> None:
    name = member.name("rerank")
    settings = read_reranked(name)
    folder, first_stage = models.RERANKERS / settings.reranker, Path(settings.first_stage)
    if not (record := models.record(folder)):
        raise UserError(f"{folder / models.RECORD} is missing: run `dvc repro`")
    kept = KeptPairs(folder)
    normalizer = query_normalizer.read(folder)
    told: dict[str, Any] = {"name": "re-ranker", "reranker": settings.reranker, "first_stage": settings.first_row}
    told |= {"depth": settings.depth, **{trait: record[trait] for trait in ("max_length", "dtype", "attention")}}
    with tables.replacing(RERANKED_FOLDER / name) as draft:
        for benchmark, asked in ranking.benchmarks().items():
            run = tables.read(first_stage / f"{benchmark}.run.parquet", RUN)
            relevant = tables.read(first_stage / f"{benchmark}.relevant.parquet", RUN)
            pairs = read(run.filter(pl.col("rank") <= settings.depth), asked, normalizer)
            distinct = pairs.select("asked", "text").unique(maintain_order=True)
            scores = kept.score(list(distinct.iter_rows()))
            if not np.isfinite(scores).all():
                raise UserError(
                    f"{settings.reranker} gives scores that are no numbers: lower its learning rate, or set base.dtype "
                    "bfloat16 or float32"
                )
            scored = pairs.join(distinct.with_columns(score=pl.Series(scores)), on=["asked", "text"])
            run, relevant = reranked(scored, run, relevant, settings.depth)
            tables.write(run, draft / f"{benchmark}.run.parquet", RUN)
            tables.write(relevant, draft / f"{benchmark}.relevant.parquet", RUN)
            log.info(f"{name} on {benchmark}: {run['task'].n_unique()} tasks, {pairs.height:,} ranks of {run.height:,}")
        tables.write_json(told, draft / RUN_RECORD)
    log.info(f"{name}: {kept.counts['scored']:,} pairs scored in all, {kept.counts['kept']:,} were kept")


def read(head: pl.DataFrame, benchmark: Tables, normalizer: query_normalizer.Normalizer | None = None) -> pl.DataFrame:
    """What the re-ranker reads of the rows of a run, `head`: columns task, query, passage, lang, asked and text."""
    queries, passages = benchmark.queries, benchmark.passages
    if normalizer:
        queries = queries.with_columns(text=pl.Series(normalizer(queries["text"].to_list()), dtype=pl.String))
    named = tasks(queries["lang"].unique().sort().to_list(), passages["lang"].unique().sort().to_list())
    spoken = pl.DataFrame({"task": [t.name for t in named], "asked_in": [t.query for t in named]})
    return (
        head.select(FOUND)
        .join(spoken, on="task", maintain_order="left")
        .join(queries.select("query", asked_in="lang", asked="text"), on=["query", "asked_in"], maintain_order="left")
        .join(passages.select("passage", "lang", passage_text()), on=["passage", "lang"], maintain_order="left")
        .drop("asked_in")
    )


def reranked(
    scored: pl.DataFrame, run: pl.DataFrame, relevant: pl.DataFrame, depth: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The run and the ranks of relevant passages (both RUN) after re-ranking; `scored` has, in columns task, query,
    passage, lang and score, what is within `depth` of `run`."""
    ordered = scored.sort(*LISTED, "score", DOCUMENT_ID, descending=[False, False, True, True])
    ranks = pl.int_range(1, pl.len() + 1).over(LISTED).cast(pl.UInt32)
    head = ordered.with_columns(rank=ranks).select(*RUN)
    lowest = head.group_by(LISTED).agg(lowest=pl.col("score").min())

    def behind(found: pl.DataFrame) -> pl.DataFrame:
        rows = found.filter(pl.col("rank") > depth).join(lowest, on=LISTED)
        below = pl.col("lowest") - (pl.col("rank").cast(pl.Int64) - depth)
        return rows.with_columns(score=below.cast(pl.Float32)).select(*RUN)

    known = relevant.filter(pl.col("rank") <= depth).select(FOUND)
    renewed = known.join(head, on=FOUND, how="left").select(*RUN)
    return (
        pl.concat([head, behind(run)]).sort(*LISTED, "rank"),
        pl.concat([renewed, behind(relevant)]).sort(*LISTED, "rank"),
    )


if __name__ == "__main__":
    errors.run(main)
