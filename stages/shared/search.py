"""Exact search by inner product, and exact ranks.

Ties are broken by the higher row number; a corpus sorted by id is thus ranked as trec_eval ranks it, ties by
descending id. A corpus is vectors, a row each, or documents of several (`Documents`).
"""

from __future__ import annotations

import faiss
import numpy as np

# Queries scored at once when counting ranks: at 1M passages a block takes 256 MB.
QUERY_BLOCK = 64
# Pairs scored at once: of 1,024 dimensions they take 128 MB.
PAIRS = 2**14


class Documents:
    """Documents of one or more windows each: a document's score is the mean of its `best` highest windows' scores, or
    of all if it has fewer; with 1 their maximum (localized relevance matching, arXiv 2112.11031).

    `vectors` float32 [windows, dimension], one document's after another's, of which `counts` [documents] says how many
    each has, 1 at least.
    """

    def __init__(self, vectors: np.ndarray, counts: np.ndarray, best: int) -> None:
        self.vectors, self.counts, self.best = vectors, counts.astype(np.int64), best
        self.firsts = np.cumsum(self.counts) - self.counts

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: np.ndarray) -> Documents:
        counts = self.counts[rows]
        shifts = self.firsts[rows] - (np.cumsum(counts) - counts)
        return Documents(self.vectors[np.repeat(shifts, counts) + np.arange(counts.sum())], counts, self.best)

    def scores(self, queries: np.ndarray) -> np.ndarray:
        """Float32, shape [queries, documents]."""
        dots = queries @ self.vectors.T
        found = np.empty((len(queries), len(self)), np.float32)
        for count in np.unique(self.counts):
            rows = np.flatnonzero(self.counts == count)
            found[:, rows] = self._mean(dots[:, self._windows(rows, count)])
        return found

    def pairs(self, queries: np.ndarray, query_rows: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The score of each pair of a query and a document, float32."""
        found = np.empty(len(rows), np.float32)
        counts = self.counts[rows]
        for count in np.unique(counts):
            own, step = np.flatnonzero(counts == count), max(1, PAIRS // int(count))
            for part in (own[at : at + step] for at in range(0, len(own), step)):
                windows = self.vectors[self._windows(rows[part], count)]
                found[part] = self._mean(np.einsum("ij,inj->in", queries[query_rows[part]], windows))
        return found

    def _windows(self, rows: np.ndarray, count: int) -> np.ndarray:
        return self.firsts[rows][:, None] + np.arange(count)

    def _mean(self, scores: np.ndarray) -> np.ndarray:
        # Sorted, so that equal windows in another order are an equal sum to its last bit.
        best: np.ndarray = np.sort(scores, axis=-1)[..., -self.best :].mean(axis=-1)
        return best


PassageVectors = np.ndarray | Documents


def top_k(queries: np.ndarray, corpus: PassageVectors, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (float32) and row numbers (int64) of each query's k best passages, best first, shape [queries, k].

    Fewer than k passages give as many columns as there are passages.
    """
    k = min(k, len(corpus))
    if isinstance(corpus, Documents):
        return _top_documents(queries, corpus, k)
    scores, rows = faiss.knn(queries, corpus, min(k + 1, len(corpus)), metric=faiss.METRIC_INNER_PRODUCT)
    order = np.lexsort((-rows, -scores), axis=1)
    scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    # Which of equals come in at rank k is faiss's choice: where rank k + 1 equals it, the rule chooses again.
    for query in np.flatnonzero(scores[:, k - 1] == scores[:, k]) if k < len(corpus) else ():
        own = corpus @ queries[query]
        rows[query, :k] = best(own, k)
        scores[query, :k] = own[rows[query, :k]]
    return np.ascontiguousarray(scores[:, :k]), np.ascontiguousarray(rows[:, :k])


def _top_documents(queries: np.ndarray, corpus: Documents, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for begin in range(0, len(queries), QUERY_BLOCK):
        for query, own in enumerate(corpus.scores(queries[begin : begin + QUERY_BLOCK]), begin):
            rows[query] = best(own, k)
            scores[query] = own[rows[query]]
    return scores, rows


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """The row numbers of the k highest of one query's scores, best first; all of them, if they are fewer."""
    reach = np.arange(len(scores))
    if k < len(scores):
        reach = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    return reach[np.lexsort((-reach, -scores[reach]))][:k]


def place(scores: np.ndarray, row: int) -> int:
    """The rank (1 = best) of `row` among one query's scores."""
    ahead = np.count_nonzero(scores > scores[row]) + np.count_nonzero(scores[row + 1 :] == scores[row])
    return int(ahead) + 1


def scored(queries: np.ndarray, corpus: PassageVectors) -> np.ndarray:
    """All scores, float32, shape [queries, passages]."""
    return corpus.scores(queries) if isinstance(corpus, Documents) else queries @ corpus.T


def pairs(queries: np.ndarray, corpus: PassageVectors, query_rows: np.ndarray, corpus_rows: np.ndarray) -> np.ndarray:
    """The score of passage `corpus_rows[i]` for query `query_rows[i]`, float32."""
    if isinstance(corpus, Documents):
        return corpus.pairs(queries, query_rows, corpus_rows)
    found = np.empty(len(query_rows), np.float32)
    for begin in range(0, len(found), PAIRS):
        part = slice(begin, begin + PAIRS)
        found[part] = np.einsum("ij,ij->i", queries[query_rows[part]], corpus[corpus_rows[part]])
    return found


def ranks(
    queries: np.ndarray, corpus: PassageVectors, query_rows: np.ndarray, corpus_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rank (1 = best) and score of passage `corpus_rows[i]` for query `query_rows[i]`, in the whole corpus."""
    found = np.zeros(len(query_rows), np.uint32)
    own_scores = np.zeros(len(query_rows), np.float32)
    order = np.argsort(query_rows, kind="stable")
    for begin in range(0, len(queries), QUERY_BLOCK):
        asked = order[(query_rows[order] >= begin) & (query_rows[order] < begin + QUERY_BLOCK)]
        if not len(asked):
            continue
        block = scored(queries[begin : begin + QUERY_BLOCK], corpus)
        for pair in asked:
            row, own = block[query_rows[pair] - begin], corpus_rows[pair]
            found[pair], own_scores[pair] = place(row, own), row[own]
    return found, own_scores


def among(
    queries: np.ndarray, corpus: PassageVectors, query_rows: np.ndarray, corpus_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rank (1 = best) and score of passage `corpus_rows[i]` for query `query_rows[i]`, among its pairs alone."""
    found = pairs(queries, corpus, query_rows, corpus_rows)
    return places(query_rows, corpus_rows, found), found


def places(query_rows: np.ndarray, corpus_rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The rank (1 = best) of each pair among those of its query, by their `scores`."""
    # Of unsigned numbers the negative would be a large one.
    order = np.lexsort((-corpus_rows.astype(np.int64), -scores, query_rows))
    grouped = query_rows[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    found = np.empty(len(order), np.uint32)
    found[order] = np.arange(len(order)) - np.repeat(starts, sizes) + 1
    return found
