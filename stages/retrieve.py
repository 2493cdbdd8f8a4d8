"""retrieve: rank each benchmark's passages for each of its tasks with one model.

Each text is encoded once and serves every benchmark and task. A transformer's vectors are kept (`vectors.blocks`), and
each benchmark's passages and queries are lists of their own there: another benchmark encodes only itself and moves no
bit of the others' runs, a changed query encodes its block, a killed run goes on, and if nothing is missing the model is
not even loaded. Memory holds the vectors of one benchmark, and of the passages of one language a copy while that is
searched. A static model encodes faster than kept vectors are read: it encodes all texts at once and keeps none.

A run keeps the best `retrieve.depth` ranks, as TREC does; beside it stand the exact ranks of the relevant passages in
the pooled tasks, however deep, since language bias is a difference of ranks. (In benchmarks by label most passages are
relevant, and none is parallel: they have no such ranks.) Where a benchmark lists candidates, a query is ranked over its
own and nothing else.
"""

import json
import logging
import sys
from collections.abc import Iterable
from functools import partial

import numpy as np
import polars as pl

from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES, BENCHMARKS_FOLDER, RERANK
from stages.schemas.runs import RUN, RUNS_FOLDER
from stages.settings.freeze import read_freeze
from stages.settings.retrieve import read_retrieve
from stages.shared import encoder, errors, files, models, search, tables
from stages.shared.errors import UserError
from stages.shared.passages import passage_text
from stages.shared.roles import PROMPT_NAMES, Role
from stages.shared.tasks import POOL, tasks
from stages.shared.vectors.blocks import KeptBlocks

log = logging.getLogger("retrieve")
Tables = dict[str, pl.DataFrame]
MODEL_FOLDERS = {
    "base": lambda name: models.BASE,
    "trained": models.TRAINED.joinpath,
    "merged": models.MERGED.joinpath,
}


def main() -> None:
    kind, name = sys.argv[1:]
    if kind not in MODEL_FOLDERS:
        raise UserError(f"{kind!r} is no kind of model: write {', '.join(MODEL_FOLDERS)}")
    settings = read_retrieve()
    folder = MODEL_FOLDERS[kind](name)
    static = encoder.is_static(folder)
    freeze = read_freeze()
    load = partial(encoder.load, folder, settings.batch_size, freeze=freeze)
    if not BENCHMARKS_FOLDER.is_dir():
        raise UserError(f"{BENCHMARKS_FOLDER} is missing: run `dvc repro`")
    found = {
        benchmark: {
            # In the order of the document ids that `score` gives trec_eval, for the tie rule of `search`.
            "passages": tables.read(BENCHMARKS_FOLDER / benchmark / "passages.parquet", BENCHMARK_PASSAGES).sort(
                pl.col("passage") + "." + pl.col("lang")
            ),
            "queries": tables.read(BENCHMARKS_FOLDER / benchmark / "queries.parquet", BENCHMARK_QUERIES),
            "qrels": tables.read(BENCHMARKS_FOLDER / benchmark / "qrels.parquet", BENCHMARK_QRELS),
            "rerank": tables.read(BENCHMARKS_FOLDER / benchmark / "rerank.parquet", RERANK),
        }
        # Not from params, where a limit or a metric may change that no rank depends on.
        for benchmark in sorted(
            folder.name for folder in BENCHMARKS_FOLDER.iterdir() if not folder.name.startswith(".")
        )
    }
    # Through a shared trunk the last bits of vectors are others.
    cut = [freeze.layers] if freeze and freeze.is_trunk else []
    kept = None if static else KeptBlocks(load, [files.content(folder), settings.batch_size, *cut])
    model = kept or _Together(load(), found.values())
    with tables.replacing(RUNS_FOLDER / name) as draft:
        for benchmark, t in found.items():
            biased = not json.loads((BENCHMARKS_FOLDER / benchmark / "about.json").read_text())["by_label"]
            run, relevant = _encode_and_rank(model, t, settings.depth, biased)
            tables.write(run, draft / f"{benchmark}.run.parquet", RUN)
            tables.write(relevant, draft / f"{benchmark}.relevant.parquet", RUN)
            log.info(f"{name} on {benchmark}: {run['task'].n_unique()} tasks, {run.height:,} ranks")
    if kept:
        log.info(f"{name}: {kept.counts['encoded']:,} texts encoded in all, {kept.counts['kept']:,} were kept")


def _texts(benchmark: Tables, role: Role) -> list[str]:
    if role == "passage":
        return benchmark["passages"].select(passage_text())["text"].to_list()
    return benchmark["queries"]["text"].to_list()


class _Together:
    """An encoder that has encoded the texts of all benchmarks, equal ones once: it takes no others."""

    def __init__(self, model: encoder.Encoder, benchmarks: Iterable[Tables]) -> None:
        self.rows: dict[Role, dict[str, int]] = {}
        self.vectors: dict[Role, np.ndarray] = {}
        for role in PROMPT_NAMES:
            distinct = dict.fromkeys(text for benchmark in benchmarks for text in _texts(benchmark, role))
            self.rows[role] = {text: row for row, text in enumerate(distinct)}
            self.vectors[role] = model.encode(list(distinct), role)

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        rows = self.rows[role]
        return self.vectors[role][[rows[text] for text in texts]]


def _encode_and_rank(
    model: encoder.Encoder, benchmark: Tables, depth: int, biased: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As `rank`. A function of its own, so that a benchmark's vectors are gone before those of the next are made."""
    passages, queries = (model.encode(_texts(benchmark, role), role) for role in ("passage", "query"))
    return rank(
        benchmark["passages"],
        passages,
        benchmark["queries"],
        queries,
        benchmark["qrels"],
        depth,
        benchmark["rerank"],
        biased=biased,
    )


def rank(
    passages: pl.DataFrame,
    passage_vectors: np.ndarray,
    queries: pl.DataFrame,
    query_vectors: np.ndarray,
    qrels: pl.DataFrame,
    depth: int,
    rerank: pl.DataFrame | None = None,
    *,
    biased: bool = True,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The run of all tasks and, if they may be `biased`, the ranks of the relevant passages in the pooled ones (both
    RUN).

    A task ranks the queries that are judged in its corpus, over all its passages or, if `rerank` (RERANK) has
    rows, over those that it has for the query.
    """
    corpus_languages = passages["lang"].unique().sort().to_list()
    # `passages` are sorted by document id, and so is each selection.
    passages, queries = passages.with_row_index("row"), queries.with_row_index("row")
    runs, relevant = [pl.DataFrame(schema=RUN)], [pl.DataFrame(schema=RUN)]
    for task in tasks(queries["lang"].unique().sort().to_list(), corpus_languages):
        judged = qrels if task.corpus == POOL else qrels.filter(lang=task.corpus)
        asked = queries.filter(lang=task.query).join(judged, on="query", how="semi", maintain_order="left")
        searched = passages if task.corpus == POOL else passages.filter(lang=task.corpus)
        if asked.is_empty():
            continue
        left = query_vectors[asked["row"].to_numpy()]
        # All of them are not copied.
        whole = searched.height == passages.height
        right = passage_vectors if whole else passage_vectors[searched["row"].to_numpy()]
        listed = None if rerank is None or rerank.is_empty() else _among(rerank, asked, searched, left, right)
        run = _search(asked, searched, left, right, depth) if listed is None else listed.filter(pl.col("rank") <= depth)
        runs.append(run.select(pl.lit(task.name).alias("task"), pl.all()).select(*RUN))
        if task.corpus == POOL and biased:
            found = _relevant_ranks(asked, searched, left, right, judged, listed)
            relevant.append(found.select(pl.lit(task.name).alias("task"), pl.all()).select(*RUN))
    return pl.concat(runs), pl.concat(relevant).sort("task", "query", "rank")


def _search(
    asked: pl.DataFrame, searched: pl.DataFrame, left: np.ndarray, right: np.ndarray, depth: int
) -> pl.DataFrame:
    scores, rows = search.top_k(left, right, depth)
    return pl.DataFrame(
        {
            "query": asked["query"].gather(np.repeat(np.arange(len(rows)), rows.shape[1])),
            "passage": searched["passage"].gather(rows.reshape(-1)),
            "lang": searched["lang"].gather(rows.reshape(-1)),
            "rank": np.tile(np.arange(1, rows.shape[1] + 1, dtype=np.uint32), len(rows)),
            "score": scores.reshape(-1),
        }
    )


def _among(
    rerank: pl.DataFrame, asked: pl.DataFrame, searched: pl.DataFrame, left: np.ndarray, right: np.ndarray
) -> pl.DataFrame:
    """All candidates of the queries asked, in the order of queries and ranks."""
    pairs = _pairs(rerank.select("query", "passage"), asked, searched, ["passage"])
    ranks, scores = search.among(left, right, pairs["query_row"].to_numpy(), pairs["passage_row"].to_numpy())
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
    left: np.ndarray,
    right: np.ndarray,
    qrels: pl.DataFrame,
    listed: pl.DataFrame | None,
) -> pl.DataFrame:
    relevant = qrels.filter(pl.col("relevance") > 0)
    if listed is not None:
        return listed.join(relevant, on=["query", "passage", "lang"], how="semi")
    pairs = _pairs(relevant, asked, searched, ["passage", "lang"])
    found, scored = search.ranks(left, right, pairs["query_row"].to_numpy(), pairs["passage_row"].to_numpy())
    return pairs.select("query", "passage", "lang", rank=pl.Series(found), score=pl.Series(scored))


if __name__ == "__main__":
    errors.run(main)
