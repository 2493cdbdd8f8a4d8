"""BM25, as Lucene computes it (by the library bm25s): the row that needs no model.

Each corpus that a task searches is an index of its own, and so is the pool of all languages, as if each were all there
is. A passage without a word of the query has the score 0 and is not found, as in Lucene; in the ranks for language bias
such passages come last, by the tie rule.
"""

from __future__ import annotations

import logging
from typing import Any

import bm25s
import numpy as np
import polars as pl

from stages.references.words import words
from stages.settings.references import Bm25
from stages.shared import search
from stages.shared.ranking import Ranker, Rankers, Tables

# Its logger lets everything through.
logging.getLogger("bm25s").setLevel(logging.WARNING)


def record(settings: Bm25) -> dict[str, Any]:
    return {"name": "BM25", **settings.model_dump()}


def rankers(settings: Bm25, benchmark: Tables) -> Rankers:
    """Rankers of the benchmark's tasks by the words of its texts."""
    numbers: dict[str, int] = {}
    passages = [
        np.array([numbers.setdefault(word, len(numbers)) for word in words(text)], np.int32)
        for text in benchmark.texts("passage")
    ]
    queries = [
        np.array([numbers[word] for word in words(text) if word in numbers], np.int32)
        for text in benchmark.texts("query")
    ]
    indexes: dict[tuple[str, ...], bm25s.BM25] = {}

    def ranker(asked: pl.DataFrame, searched: pl.DataFrame) -> Ranker:
        languages = tuple(searched["lang"].unique().sort())
        if languages not in indexes:
            index = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
            own = [passages[row].tolist() for row in searched["row"]]
            index.index((own, numbers), create_empty_token=False, show_progress=False)
            indexes[languages] = index
        return _ByWords(indexes[languages], [queries[row] for row in asked["row"]])

    return ranker


class _ByWords:
    def __init__(self, index: bm25s.BM25, queries: list[np.ndarray]) -> None:
        self.index, self.queries = index, queries

    def scores(self, query: int) -> np.ndarray:
        """The score of each passage, float32."""
        asked = self.queries[query]
        if not len(asked):
            return np.zeros(self.index.scores["num_docs"], np.float32)
        return self.index.get_scores_from_ids(asked)

    def search(self, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        query_rows, passage_rows, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for query in range(len(self.queries)):
            own = self.scores(query)
            found = np.flatnonzero(own)
            best = found[search.best(own[found], depth)]
            query_rows.append(np.full(len(best), query))
            passage_rows.append(best)
            scores.append(own[best])
        return np.concatenate(query_rows), np.concatenate(passage_rows), np.concatenate(scores)

    def ranks(self, query_rows: np.ndarray, passage_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, scored = np.zeros(len(query_rows), np.uint32), np.zeros(len(query_rows), np.float32)
        for query in np.unique(query_rows):
            own = self.scores(query)
            for pair in np.flatnonzero(query_rows == query):
                found[pair], scored[pair] = search.place(own, passage_rows[pair]), own[passage_rows[pair]]
        return found, scored

    def among(self, query_rows: np.ndarray, passage_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scored = np.zeros(len(query_rows), np.float32)
        for query in np.unique(query_rows):
            pairs = query_rows == query
            scored[pairs] = self.scores(query)[passage_rows[pairs]]
        return search.places(query_rows, passage_rows, scored), scored
