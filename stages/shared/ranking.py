"""Ranking a benchmark's passages for each of its tasks, whatever scores them: vectors, or the words of texts.

A run keeps the best ranks, as TREC does; beside it stand the exact ranks of the relevant passages in the pooled tasks,
however deep, since language bias is a difference of ranks. (In benchmarks by label most passages are relevant, and none
is parallel: they have no such ranks.) Where a benchmark lists candidates, a query is ranked over its own and nothing
else. The passage that a query is itself is no result of it, in any language: it leaves before the list is cut at its
depth, and counts in no rank, as in BEIR's evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl

from stages.schemas.benchmarks import (
    BENCHMARK_PASSAGES,
    BENCHMARK_QRELS,
    BENCHMARK_QUERIES,
    BENCHMARKS_FOLDER,
    IDENTICAL,
    POOLED,
    RERANK,
)
from stages.schemas.runs import DOCUMENT_ID, RUN
from stages.shared import search, tables
from stages.shared.errors import UserError
from stages.shared.passages import by_language, passage_text
from stages.shared.roles import Role
from stages.shared.search import PassageVectors
from stages.shared.tasks import POOL, tasks


class Tables(NamedTuple):
    """A benchmark's tables, its passages in the order of the document ids that `score` gives trec_eval."""

    passages: pl.DataFrame
    queries: pl.DataFrame
    qrels: pl.DataFrame
    rerank: pl.DataFrame
    by_label: bool
    identical: pl.DataFrame = pl.DataFrame(schema=IDENTICAL)
    pool: pl.DataFrame = pl.DataFrame(schema=POOLED)

    def searched(self, corpus: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The passages of a language, or of the pool, with their numbers in the column `row`, and their qrels."""
        passages, qrels = self.passages.with_row_index("row"), self.qrels
        if corpus != POOL:
            return passages.filter(lang=corpus), qrels.filter(lang=corpus)
        if self.pool.is_empty():
            return passages, qrels
        keys = ["passage", "lang"]
        return passages.join(self.pool, on=keys, how="semi", maintain_order="left"), qrels.join(
            self.pool, on=keys, how="semi", maintain_order="left"
        )

    def texts(self, role: Role) -> list[str]:
        if role == "passage":
            return self.passages.select(passage_text())["text"].to_list()
        return self.queries["text"].to_list()


class Ranker(Protocol):
    """The queries of one task, and the passages that it searches; both are named by their rows there.

    Passages are sorted by document id: of equal scores the higher row comes first, as in trec_eval.
    """

    def search(self, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Query rows (ascending), passage rows and scores (float32) of each query's best passages, best first."""

    def ranks(self, query_rows: np.ndarray, passage_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rank (1 = best) and score of each pair, among all passages."""

    def among(self, query_rows: np.ndarray, passage_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rank (1 = best) and score of each pair, among its query's pairs alone."""


# Gives the ranker of a task, of what it asks and what it searches: rows of a benchmark's queries and passages, with
# their numbers there in the column `row`.
Rankers = Callable[[pl.DataFrame, pl.DataFrame], Ranker]


def benchmarks() -> dict[str, Tables]:
    """The benchmarks as they stand; raises `UserError` if there are none."""
    if not BENCHMARKS_FOLDER.is_dir():
        raise UserError(f"{BENCHMARKS_FOLDER} is missing: run `dvc repro`")
    # Not from params, where a limit or a metric may change that no rank depends on.
    names = sorted(folder.name for folder in BENCHMARKS_FOLDER.iterdir() if not folder.name.startswith("."))
    return {name: _read(BENCHMARKS_FOLDER / name) for name in names}


def benchmark(name: str) -> Tables:
    """One of them; raises `UserError` if it is not there."""
    if not (BENCHMARKS_FOLDER / name / "about.json").is_file():
        raise UserError(f"{BENCHMARKS_FOLDER / name} is missing: run `dvc repro`")
    return _read(BENCHMARKS_FOLDER / name)


def texts_by_language(benchmarks: Iterable[Tables]) -> dict[str, list[str]]:
    """All texts of `benchmarks`, passages and queries, by language."""
    sides = []
    for benchmark in benchmarks:
        sides.append(pl.DataFrame({"lang": benchmark.passages["lang"], "text": benchmark.texts("passage")}))
        sides.append(pl.DataFrame({"lang": benchmark.queries["lang"], "text": benchmark.texts("query")}))
    return by_language(pl.concat(sides))


def _read(folder: Path) -> Tables:
    return Tables(
        tables.read(folder / "passages.parquet", BENCHMARK_PASSAGES).sort(DOCUMENT_ID),
        tables.read(folder / "queries.parquet", BENCHMARK_QUERIES),
        tables.read(folder / "qrels.parquet", BENCHMARK_QRELS),
        tables.read(folder / "rerank.parquet", RERANK),
        tables.read_json(folder / "about.json")["by_label"],
        tables.read(folder / "identical.parquet", IDENTICAL),
        tables.read(folder / "pool.parquet", POOLED),
    )


class DocumentEncoder(Protocol):
    """What encodes queries, and passages in one vector each or in several (`windows`)."""

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        """Unit vectors of `texts`, float32, shape [len(texts), dimension]."""

    def documents(self, passages: pl.DataFrame) -> PassageVectors:
        """Those of `passages` (columns title and text)."""


def _rows(vectors: PassageVectors, rows: np.ndarray) -> PassageVectors:
    return vectors[rows]


def by_encoder(encoder: DocumentEncoder, benchmark: Tables) -> Rankers:
    """Rankers of `benchmark` by the vectors that `encoder` gives."""
    passages, queries = encoder.documents(benchmark.passages), encoder.encode(benchmark.texts("query"), "query")
    holder = getattr(encoder, "holder", None)
    return by_vectors(passages, queries, holder.taken if holder else _rows)


def by_vectors(
    passage_vectors: PassageVectors,
    query_vectors: np.ndarray,
    take: Callable[[PassageVectors, np.ndarray], PassageVectors] = _rows,
) -> Rankers:
    """Rankers by the inner product of vectors, float32, shape [passages or queries, dimension]; a passage may have
    several. `take` gives those of some rows."""

    def ranker(asked: pl.DataFrame, searched: pl.DataFrame) -> Ranker:
        # All of them are not copied.
        whole = searched.height == len(passage_vectors)
        right = passage_vectors if whole else take(passage_vectors, searched["row"].to_numpy())
        return _ByVectors(query_vectors[asked["row"].to_numpy()], right)

    return ranker


class _ByVectors:
    def __init__(self, queries: np.ndarray, passages: PassageVectors) -> None:
        self.queries, self.passages = queries, passages

    def search(self, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores, rows = search.top_k(self.queries, self.passages, depth)
        return np.repeat(np.arange(len(rows)), rows.shape[1]), rows.reshape(-1), scores.reshape(-1)

    def ranks(self, query_rows: np.ndarray, passage_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return search.ranks(self.queries, self.passages, query_rows, passage_rows)

    def among(self, query_rows: np.ndarray, passage_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return search.among(self.queries, self.passages, query_rows, passage_rows)


def rank(benchmark: Tables, rankers: Rankers, depth: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The run of all tasks and, unless the benchmark is by label or its pool has each document in one language, the
    ranks of the relevant passages in the pooled ones (both RUN).

    A task ranks the queries that are judged in its corpus, over all its passages or, if the benchmark lists candidates,
    over those that it has for the query; and by label also those that are judged nowhere, since no passage fits them.
    """
    # Passages are sorted by document id, and so is each selection.
    queries = benchmark.queries.with_row_index("row")
    beyond = queries.join(benchmark.qrels, on="query", how="anti")["query"].implode()
    corpus_languages = benchmark.passages["lang"].unique().sort().to_list()
    runs, relevant = [pl.DataFrame(schema=RUN)], [pl.DataFrame(schema=RUN)]
    for task in tasks(queries["lang"].unique().sort().to_list(), corpus_languages):
        searched, judged = benchmark.searched(task.corpus)
        known = pl.col("query").is_in(judged["query"].unique().implode())
        asked = queries.filter(pl.col("lang") == task.query, known | pl.col("query").is_in(beyond))
        if not asked.select(known.any()).item():
            continue
        ranker = rankers(asked, searched)
        itself = _pairs(benchmark.identical, asked, searched, ["passage"])
        if benchmark.rerank.is_empty():
            listed = None
            run = _search(asked, searched, ranker, depth, itself)
        else:
            listed = _among(benchmark.rerank.join(itself, on=["query", "passage"], how="anti"), asked, searched, ranker)
            run = listed.filter(pl.col("rank") <= depth)
        runs.append(run.select(pl.lit(task.name).alias("task"), pl.all()).select(*RUN))
        if task.corpus == POOL and not benchmark.by_label and benchmark.pool.is_empty():
            found = _relevant_ranks(asked, searched, ranker, judged, listed, itself)
            relevant.append(found.select(pl.lit(task.name).alias("task"), pl.all()).select(*RUN))
    return pl.concat(runs), pl.concat(relevant).sort("task", "query", "rank")


def _search(
    asked: pl.DataFrame, searched: pl.DataFrame, ranker: Ranker, depth: int, itself: pl.DataFrame
) -> pl.DataFrame:
    # As much deeper as may leave of one query's list.
    most = int(itself["query_row"].value_counts()["count"].max() or 0)  # type: ignore[arg-type]
    query_rows, passage_rows, scores = ranker.search(depth + most)
    if most:
        pairs = query_rows * searched.height + passage_rows
        own = itself["query_row"].cast(pl.Int64) * searched.height + itself["passage_row"]
        stays = ~np.isin(pairs, own.to_numpy())
        query_rows, passage_rows, scores = query_rows[stays], passage_rows[stays], scores[stays]
    starts = np.searchsorted(query_rows, query_rows)
    run = pl.DataFrame(
        {
            "query": asked["query"].gather(query_rows),
            "passage": searched["passage"].gather(passage_rows),
            "lang": searched["lang"].gather(passage_rows),
            "rank": (np.arange(len(query_rows)) - starts + 1).astype(np.uint32),
            "score": scores,
        }
    )
    return run.filter(pl.col("rank") <= depth) if most else run


def _among(rerank: pl.DataFrame, asked: pl.DataFrame, searched: pl.DataFrame, ranker: Ranker) -> pl.DataFrame:
    """All candidates of the queries asked, in the order of queries and ranks."""
    pairs = _pairs(rerank.select("query", "passage"), asked, searched, ["passage"])
    ranks, scores = ranker.among(pairs["query_row"].to_numpy(), pairs["passage_row"].to_numpy())
    ranked = pairs.with_columns(rank=pl.Series(ranks), score=pl.Series(scores)).sort("query_row", "rank")
    return ranked.select("query", "passage", "lang", "rank", "score")


def _pairs(pairs: pl.DataFrame, asked: pl.DataFrame, searched: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """`pairs` of query and passage with their rows in `asked` and `searched`."""
    return pairs.join(asked.select("query").with_row_index("query_row"), on="query").join(
        searched.select("passage", "lang").with_row_index("passage_row"), on=on
    )


def _relevant_ranks(
    asked: pl.DataFrame,
    searched: pl.DataFrame,
    ranker: Ranker,
    qrels: pl.DataFrame,
    listed: pl.DataFrame | None,
    itself: pl.DataFrame,
) -> pl.DataFrame:
    relevant = qrels.filter(pl.col("relevance") > 0)
    if listed is not None:
        return listed.join(relevant, on=["query", "passage", "lang"], how="semi")
    pairs = _pairs(relevant, asked, searched, ["passage", "lang"])
    found, scored = _ranks(ranker, pairs)
    if itself.height:
        # Each copy of the query's own passage that is ahead counts in no rank.
        ahead = itself.select("query_row", own=_ranks(ranker, itself)[0])
        ranked = pairs.select("query_row", rank=pl.Series(found)).with_row_index("pair").join(ahead, on="query_row")
        behind = ranked.filter(pl.col("own") < pl.col("rank"))["pair"].to_numpy()
        np.subtract.at(found, behind, 1)
    return pairs.select("query", "passage", "lang", rank=pl.Series(found), score=pl.Series(scored))


def _ranks(ranker: Ranker, pairs: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return ranker.ranks(pairs["query_row"].to_numpy(), pairs["passage_row"].to_numpy())
