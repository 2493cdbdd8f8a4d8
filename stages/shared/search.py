"""Exact search by inner product, and exact ranks.

Ties are broken by the higher row number; a corpus sorted by id is thus ranked as trec_eval ranks it, ties by
descending id. A corpus is vectors, a row each, or documents of several (`Documents`).

Vectors may be more than memory holds (a mapped file), or half as wide (float16): they are then read in blocks of rows,
each as float32, beside which there is a running list of the best. `top_k` then gives the same bytes as of float32 in
memory, since blocks end where faiss's own do; `ranks` are exact by scores that may have other last bits.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import faiss
import numpy as np

from stages.shared import on_gpu

# Queries scored at once when counting ranks: at 1M passages a block takes 256 MB.
QUERY_BLOCK = 64
# Numbers of a block of vectors that are read from a file or widened, 256 MB as float32; and of a list of the best.
SEARCHED_NUMBERS = 2**26
# Passages and queries that faiss multiplies at once: were blocks to end elsewhere, scores had other last bits.
FAISS_ROWS, FAISS_QUERIES = 2**10, 2**12
# Passages against which ranks are counted in one product, which takes 1 GB; of more, blocks of them.
WHOLE_BLOCK = 2**22
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
    gpu = on_gpu.pays(queries, corpus)
    scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    step = max(1, SEARCHED_NUMBERS // (k + 1) // FAISS_QUERIES) * FAISS_QUERIES
    begin = 0
    while begin < len(queries):
        # Few queries by themselves would be multiplied another way: they join the block before.
        end = begin + step if len(queries) - begin - step >= FAISS_QUERIES else len(queries)
        scores[begin:end], rows[begin:end] = _top_vectors(queries[begin:end], corpus, k, gpu)
        begin = end
    return scores, rows


def _top_vectors(queries: np.ndarray, corpus: np.ndarray, k: int, gpu: bool) -> tuple[np.ndarray, np.ndarray]:
    deep = min(k + 1, len(corpus))
    scores, rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for begin, block in blocks(corpus, _rows_of_gpu(corpus) if gpu else None):
        best_of_block = min(deep, len(block))
        if gpu:
            found = on_gpu.nearest(queries, block, best_of_block)
        else:
            found = faiss.knn(queries, block, best_of_block, metric=faiss.METRIC_INNER_PRODUCT)
        if len(block) == len(corpus):
            scores, rows = found
            break
        scores, rows = np.hstack([scores, found[0]]), np.hstack([rows, found[1] + begin])
        if scores.shape[1] > deep:
            # Of equals any may stay: where they reach rank k + 1, all are looked at again below.
            stay = np.argpartition(-scores, deep - 1, axis=1)[:, :deep]
            scores, rows = np.take_along_axis(scores, stay, 1), np.take_along_axis(rows, stay, 1)
    unsorted = np.flatnonzero((scores[:, 1:] >= scores[:, :-1]).any(axis=1))
    order = np.lexsort((-rows[unsorted], -scores[unsorted]), axis=1)
    scores[unsorted] = np.take_along_axis(scores[unsorted], order, 1)
    rows[unsorted] = np.take_along_axis(rows[unsorted], order, 1)
    # Which of equals come in at rank k is faiss's choice: where rank k + 1 equals it, the rule chooses again.
    if k < len(corpus) and len(tied := np.flatnonzero(scores[:, k - 1] == scores[:, k])):
        scores[tied, :k], rows[tied, :k] = _top_one_by_one(queries[tied], corpus, k)
    return scores[:, :k], rows[:, :k]


def _top_one_by_one(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Each query's best by the rule, of all its scores."""
    scores = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int64)
    for begin, block in blocks(corpus):
        for query, vector in enumerate(queries):
            own = block @ vector
            first = best(own, k)
            both = np.r_[scores[query], own[first]], np.r_[rows[query], first + begin]
            order = np.lexsort((-both[1], -both[0]))[:k]
            scores[query], rows[query] = both[0][order], both[1][order]
    return scores, rows


def blocks(corpus: np.ndarray, whole: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """The vectors, float32, in blocks with the row at which each begins; all at once if they are so in memory, and not
    more than `whole`."""
    mapped = isinstance(corpus, np.memmap)
    if not mapped and corpus.dtype == np.float32 and (whole is None or len(corpus) <= whole):
        yield 0, corpus
        return
    step = max(1, SEARCHED_NUMBERS // corpus.shape[1] // FAISS_ROWS) * FAISS_ROWS
    for begin in range(0, len(corpus), step):
        yield begin, np.array(corpus[begin : begin + step], np.float32)
        if mapped:
            # What was read is held for this process no longer.
            corpus._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def _rows_of_gpu(corpus: np.ndarray) -> int:
    """How many vectors a GPU has at once."""
    return SEARCHED_NUMBERS // corpus.shape[1]


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
    return _ahead(scores, scores[row], row) + 1


def _ahead(scores: Any, score: np.float32, row: int) -> int:
    """How many of one query's scores, an array or a tensor, come before `score`, whose row is `row` or, if it is of
    another block, counts from where this one begins."""
    higher, equal = scores > score, scores[max(0, row + 1) :] == score
    if isinstance(scores, np.ndarray):
        return int(np.count_nonzero(higher) + np.count_nonzero(equal))
    return int(higher.sum() + equal.sum())


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
        found[part] = np.einsum("ij,ij->i", queries[query_rows[part]], corpus[corpus_rows[part]].astype(np.float32))
    return found


def ranks(
    queries: np.ndarray, corpus: PassageVectors, query_rows: np.ndarray, corpus_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rank (1 = best) and score of passage `corpus_rows[i]` for query `query_rows[i]`, in the whole corpus."""
    ahead, own_scores = np.zeros(len(query_rows), np.uint32), np.zeros(len(query_rows), np.float32)
    order = np.argsort(query_rows, kind="stable")
    starts = np.searchsorted(query_rows[order], np.arange(0, len(queries) + QUERY_BLOCK, QUERY_BLOCK))
    asked = [(turn * QUERY_BLOCK, order[slice(*ends)]) for turn, ends in enumerate(pairwise(starts)) if np.diff(ends)]

    gpu = not isinstance(corpus, Documents) and on_gpu.pays(queries, corpus)
    whole = _rows_of_gpu(corpus) if gpu else WHOLE_BLOCK  # type: ignore[arg-type]

    def products(find: bool, count: bool) -> None:
        for first, block in [(0, corpus)] if isinstance(corpus, Documents) else blocks(corpus, whole):
            score = _scoring(block, gpu)
            for begin, own in asked:
                here = own[(corpus_rows[own] >= first) & (corpus_rows[own] < first + len(block))]
                if not count and not len(here):
                    continue
                dots = score(queries[begin : begin + QUERY_BLOCK])
                if find:
                    own_scores[here] = _taken(dots, query_rows[here] - begin, corpus_rows[here] - first)
                for pair in own if count else ():
                    row = int(corpus_rows[pair]) - first
                    ahead[pair] += _ahead(dots[query_rows[pair] - begin], own_scores[pair], row)

    if isinstance(corpus, Documents) or len(next(blocks(corpus, whole))[1]) == len(corpus):
        products(find=True, count=True)
    else:
        # What the blocks' scores are compared with comes of the same products.
        products(find=True, count=False)
        products(find=False, count=True)
    return ahead + 1, own_scores


def _scoring(block: PassageVectors, gpu: bool) -> Callable[[np.ndarray], Any]:
    """What gives queries' scores of the passages of `block`, an array or a tensor of shape [queries, passages]."""
    if isinstance(block, Documents) or not gpu:
        return lambda queries: scored(queries, block)
    passages = on_gpu.placed(block)
    return lambda queries: on_gpu.placed(queries) @ passages.T


def _taken(scores: Any, query_rows: np.ndarray, corpus_rows: np.ndarray) -> np.ndarray:
    if isinstance(scores, np.ndarray):
        return scores[query_rows, corpus_rows]
    return scores[query_rows.astype(np.int64), corpus_rows.astype(np.int64)].cpu().numpy()


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
