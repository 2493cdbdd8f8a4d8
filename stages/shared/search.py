"""Exact search by inner product, and exact ranks.

Ties are broken by the higher row number; a corpus sorted by id is thus ranked as trec_eval ranks it, ties by
descending id.
"""

from __future__ import annotations

import faiss
import numpy as np

# Queries scored at once when counting ranks: at 1M passages a block takes 256 MB.
QUERY_BLOCK = 64
# Pairs scored at once: of 1,024 dimensions they take 128 MB.
PAIRS = 2**14


def top_k(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (float32) and row numbers (int64) of each query's k best passages, best first, shape [queries, k].

    Fewer than k passages give as many columns as there are passages.
    """
    k = min(k, len(corpus))
    scores, rows = faiss.knn(queries, corpus, min(k + 1, len(corpus)), metric=faiss.METRIC_INNER_PRODUCT)
    order = np.lexsort((-rows, -scores), axis=1)
    scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    # Which of equals come in at rank k is faiss's choice: where rank k + 1 equals it, the rule chooses again.
    for query in np.flatnonzero(scores[:, k - 1] == scores[:, k]) if k < len(corpus) else ():
        own = corpus @ queries[query]
        rows[query, :k] = best(own, k)
        scores[query, :k] = own[rows[query, :k]]
    return np.ascontiguousarray(scores[:, :k]), np.ascontiguousarray(rows[:, :k])


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


def ranks(
    queries: np.ndarray, corpus: np.ndarray, query_rows: np.ndarray, corpus_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rank (1 = best) and score of passage `corpus_rows[i]` for query `query_rows[i]`, in the whole corpus."""
    found = np.zeros(len(query_rows), np.uint32)
    scored = np.zeros(len(query_rows), np.float32)
    order = np.argsort(query_rows, kind="stable")
    for begin in range(0, len(queries), QUERY_BLOCK):
        pairs = order[(query_rows[order] >= begin) & (query_rows[order] < begin + QUERY_BLOCK)]
        if not len(pairs):
            continue
        block = queries[begin : begin + QUERY_BLOCK] @ corpus.T
        for pair in pairs:
            row, own = block[query_rows[pair] - begin], corpus_rows[pair]
            found[pair], scored[pair] = place(row, own), row[own]
    return found, scored


def among(
    queries: np.ndarray, corpus: np.ndarray, query_rows: np.ndarray, corpus_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rank (1 = best) and score of passage `corpus_rows[i]` for query `query_rows[i]`, among its pairs alone."""
    scored = np.empty(len(query_rows), np.float32)
    for begin in range(0, len(scored), PAIRS):
        part = slice(begin, begin + PAIRS)
        scored[part] = np.einsum("ij,ij->i", queries[query_rows[part]], corpus[corpus_rows[part]])
    return places(query_rows, corpus_rows, scored), scored


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
