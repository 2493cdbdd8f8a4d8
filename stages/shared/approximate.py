"""Approximate search by an index of faiss, whose recall against exact search is measured on a sample of the queries.

An index is trained and filled with one thread and faiss's own seeds, so that it is the same whatever the machine's
cores. What it finds is scored anew by the vectors themselves and put into the order of exact search: an index that
keeps fewer bits loses passages, but changes no score.
"""

from __future__ import annotations

import faiss
import numpy as np

from stages.settings.candidates import ApproximateIndex
from stages.shared import search
from stages.shared.errors import UserError


class Approximate:
    """An index over `vectors` [passages, dimension]; raises `UserError` if faiss knows no such index."""

    def __init__(self, vectors: search.PassageVectors, settings: ApproximateIndex) -> None:
        if isinstance(vectors, search.Documents):
            raise UserError(
                "candidates.index ranks no passages of several windows: write index: null, or windows: null"
            )
        self.vectors, self.settings = vectors, settings
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            self.index = faiss.index_factory(vectors.shape[1], settings.factory, faiss.METRIC_INNER_PRODUCT)
            if settings.search:
                faiss.ParameterSpace().set_index_parameters(self.index, settings.search)  # type: ignore[arg-type]
            if not self.index.is_trained:
                self.index.train(self._sample())
            for _, block in search.blocks(vectors):
                self.index.add(block)
        except RuntimeError as error:
            told = str(error).splitlines()[0].rsplit(": ", 1)[-1]
            raise UserError(
                f"candidates.index cannot be built of {len(vectors):,} passages with factory {settings.factory!r} and "
                f"search {settings.search!r} ({told}): write what faiss's index_factory takes"
            ) from None
        finally:
            faiss.omp_set_num_threads(threads)

    def top_k(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, float]:
        """As `search.top_k`, of what the index finds; and its recall: of the first k by exact search the share that it
        finds, over at most `sample` of the queries. Raises `UserError` if it finds fewer than k for a query."""
        k = min(k, len(self.vectors))
        _, rows = self.index.search(queries, k)
        if short := int((rows < 0).any(axis=1).sum()):
            raise UserError(
                f"candidates.index finds fewer than candidates.depth = {k} passages for {short:,} of {len(queries):,} "
                "queries: raise nprobe or efSearch in index.search, or lower depth"
            )
        query_rows = np.repeat(np.arange(len(queries)), k)
        scores = search.pairs(queries, self.vectors, query_rows, rows.reshape(-1)).reshape(rows.shape)
        order = np.lexsort((-rows, -scores), axis=1)
        scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
        asked = np.unique(np.linspace(0, len(queries) - 1, min(self.settings.sample, len(queries)), dtype=np.int64))
        _, exact = search.top_k(queries[asked], self.vectors, k)
        found = [np.isin(own, whole).mean() for own, whole in zip(exact, rows[asked], strict=True)]
        return scores, rows, round(float(np.mean(found)), 5)

    def _sample(self) -> np.ndarray:
        """Vectors to train on, evenly over all: no more than a block holds, of which faiss draws what it needs."""
        count = min(len(self.vectors), max(1, search.SEARCHED_NUMBERS // self.vectors.shape[1]))
        rows = np.linspace(0, len(self.vectors) - 1, count, dtype=np.int64)
        return np.array(self.vectors[rows], np.float32)
