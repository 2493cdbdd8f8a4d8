"""Draws without replacement, vectorised over queries: weighted by label, uniform, or weighted one by one.

Each draw takes one of what is left with a probability proportional to its weight (Plackett-Luce). Two ways to do it:

- Where all queries of a label share their weights, the label's entries are laid on a line, each an interval as wide as
  its weight, and a uniform number points at one; the intervals already taken are cut out exactly, nothing is drawn
  again. A draw costs a binary search: 1M queries of 1k labels draw 2 of 10k entries in a few seconds
  (benchmarks/sampling.py), where Gumbel top-k would need a random number for each query and entry, 10 billion.
- Where each query has weights of its own, as scores of what a teacher ranked: Gumbel top-k (arXiv 1903.06059), a
  random number for each weight, the greatest keys are the draw.

A draw depends on the seed, the query's id, and the entries and their weights, on no other query.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stages.shared import seeds

# Numbers in the largest matrix of a step.
MATRIX_NUMBERS = 1 << 22


class Short(Exception):
    """Fewer entries to draw from, `left`, than draws; `row` is one of the queries that lack them."""

    def __init__(self, row: int, left: int) -> None:
        super().__init__(f"query {row} has {left} entries to draw from")
        self.row, self.left = row, left


def gumbel(logs: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Keys whose k greatest along the last axis are k draws, in order, with weights exp(`logs`); -inf stays -inf.

    `uniforms` in [0, 1), of the shape of `logs`.
    """
    return logs - np.log(-np.log(np.maximum(uniforms, 2.0**-54)))


def by_label(
    queries: list[str],
    query_labels: np.ndarray,
    entry_labels: np.ndarray,
    weights: np.ndarray,
    k: int,
    seed: object,
) -> np.ndarray:
    """For each query k entries, P(j | i) = weights[l_i, l_j] / sum of weights[l_i, l_j'] over the entries j' left.

    `query_labels` and `entry_labels` are rows and columns of `weights`, which are not negative; entries with a label
    below 0 have none and are not drawn. Returns entry numbers in the order drawn, shape [queries, k]. Raises `Short` if
    a query's label has fewer than k entries with a weight above 0.
    """
    uniforms = _uniforms(queries, k, seed)
    drawn = np.empty((len(queries), k), np.int64)
    for label, rows in _groups(query_labels):
        own = np.where(entry_labels >= 0, weights[label, entry_labels], 0.0)
        # Ascending: each interval is then wide beside the rounding of where it begins, however far apart the weights.
        line = np.argsort(own, kind="stable")[np.count_nonzero(own <= 0) :]
        if len(line) < k:
            raise Short(int(rows[0]), len(line))
        edges = np.concatenate([[0.0], np.cumsum(own[line])])
        drawn[rows] = line[_draw(edges, uniforms[rows])]
    return drawn


def most_similar(
    queries: list[str],
    query_labels: np.ndarray,
    entry_labels: np.ndarray,
    similarity: np.ndarray,
    k: int,
    seed: object,
) -> np.ndarray:
    """As `by_label`, but greater similarity comes first, and equals are drawn uniformly; -inf: never drawn."""
    uniforms = _uniforms(queries, k, seed)
    drawn = np.empty((len(queries), k), np.int64)
    for label, rows in _groups(query_labels):
        own = np.where(entry_labels >= 0, similarity[label, entry_labels], -np.inf)
        line = np.argsort(-own, kind="stable")[: np.count_nonzero(own > -np.inf)]
        if len(line) < k:
            raise Short(int(rows[0]), len(line))
        starts = np.flatnonzero(np.diff(own[line], prepend=np.inf))
        done = 0
        for begin, end in zip(starts, [*starts[1:], len(line)], strict=True):
            count = min(k - done, end - begin)
            equals = np.arange(end - begin + 1.0)
            drawn[rows, done : done + count] = line[begin + _draw(equals, uniforms[rows, done : done + count])]
            done += count
            if done == k:
                break
    return drawn


def outside(
    queries: list[str],
    query_labels: np.ndarray,
    entry_labels: np.ndarray,
    excluded: tuple[np.ndarray, np.ndarray],
    k: int,
    seed: object,
) -> np.ndarray:
    """For each query k entries, drawn uniformly from those that are not of its label and not excluded.

    `excluded`: rows of queries and, beside them, numbers of entries, in any order; a label below 0 is none. Returns
    entry numbers, shape [queries, k]. Raises `Short` if fewer than k are left to a query.
    """
    uniforms = _uniforms(queries, k, seed)
    drawn = np.empty((len(queries), k), np.int64)
    size = max(1, len(entry_labels))
    out_rows, out_entries = np.divmod(np.unique(excluded[0].astype(np.int64) * size + excluded[1]), size)
    same = query_labels[out_rows] == entry_labels[out_entries]
    keep = ~(same & (query_labels[out_rows] >= 0))
    out_rows, out_entries = out_rows[keep], out_entries[keep]
    ends = np.searchsorted(out_rows, np.arange(len(queries) + 1))
    counts = np.diff(ends)
    for label, members in _groups(query_labels, unlabelled=True):
        own = entry_labels == label if label >= 0 else np.zeros(len(entry_labels), bool)
        line = np.flatnonzero(~own)
        place = np.cumsum(~own) - 1  # of an entry on the line
        edges = np.arange(len(line) + 1.0)
        members = members[np.argsort(-counts[members], kind="stable")]  # so that a chunk's rows are about as long
        if len(line) - counts[members[0]] < k:
            raise Short(int(members[0]), int(len(line) - counts[members[0]]))
        begin = 0
        while begin < len(members):
            width = int(counts[members[begin]])
            rows = members[begin : begin + max(1, MATRIX_NUMBERS // (width + k))]
            taken = np.full((len(rows), width), len(line), np.int64)
            nth = np.arange(width)
            filled = nth < counts[rows][:, None]
            taken[filled] = place[out_entries[(ends[rows][:, None] + nth)[filled]]]
            drawn[rows] = line[_draw(edges, uniforms[rows], taken)]
            begin += len(rows)
    return drawn


def own_group(
    queries: list[str], query_groups: np.ndarray, entry_groups: np.ndarray, k: int, seed: object
) -> tuple[np.ndarray, np.ndarray]:
    """For each query k entries of its own group, drawn uniformly, or all if there are no more.

    Returns rows of `queries`, ascending, and beside them numbers of entries, ascending within a query.
    """
    line = np.argsort(entry_groups, kind="stable")
    sizes = np.bincount(entry_groups, minlength=int(query_groups.max(initial=-1)) + 1)
    starts = np.cumsum(sizes) - sizes
    k = min(k, int(sizes.max(initial=0)))
    uniforms = _uniforms(queries, k, seed)
    drawn = np.full((len(queries), k), -1, np.int64)
    # A draw depends on its group's size alone, and there are few sizes, however many groups.
    for size in np.unique(sizes[query_groups]):
        rows = np.flatnonzero(sizes[query_groups] == size)
        begin = starts[query_groups[rows], None]
        places = np.arange(size)[None, :] if size <= k else _draw(np.arange(size + 1.0), uniforms[rows])
        drawn[rows, : min(size, k)] = np.sort(line[begin + places], axis=1)
    rows, places = np.nonzero(drawn >= 0)
    return rows, drawn[rows, places]


def _draw(edges: np.ndarray, uniforms: np.ndarray, taken: np.ndarray | None = None) -> np.ndarray:
    """Intervals of a line that uniform numbers point at, one column after the other, none twice in a row.

    Interval i is from edges[i] to edges[i + 1], for 0 <= i < n; k of them must be left. `uniforms` in [0, 1), shape
    [rows, k]. `taken`: the intervals that a row may not draw, ascending, filled up with n; shape [rows, any]. Returns
    shape [rows, k].
    """
    size, (rows, k) = len(edges) - 1, uniforms.shape
    taken = np.empty((rows, 0), np.int64) if taken is None else taken
    drawn = np.empty((rows, k), np.int64)
    every = np.arange(rows)
    for nth in range(k):
        # The gaps before, between and after what is taken, and where each ends if nothing else were on the line.
        first = np.concatenate([np.zeros((rows, 1), np.int64), np.minimum(taken + 1, size)], axis=1)
        after = np.concatenate([taken, np.full((rows, 1), size)], axis=1)
        reach = np.cumsum(edges[after] - edges[first], axis=1)
        at = uniforms[:, nth] * reach[:, -1]
        gap = (reach <= at[:, None]).sum(axis=1)
        before = np.where(gap > 0, reach[every, gap - 1], 0.0)
        found = np.searchsorted(edges, edges[first[every, gap]] + (at - before), side="right") - 1
        # The sum above is rounded, and may touch the gap's end.
        drawn[:, nth] = np.clip(found, first[every, gap], after[every, gap] - 1)
        taken = np.sort(np.concatenate([taken, drawn[:, nth, None]], axis=1), axis=1)
    return drawn


def _uniforms(queries: list[str], k: int, seed: object) -> np.ndarray:
    """A number in [0, 1) for each query and draw: shape [queries, k]."""
    draws = seeds.numbers("draw", [str(nth) for nth in range(k)])
    return seeds.uniform(seeds.numbers(seed, queries)[:, None], draws[None, :])


def _groups(labels: np.ndarray, unlabelled: bool = False) -> Iterator[tuple[int, np.ndarray]]:
    """Each label and its rows, ascending; labels below 0, which are none, only if wanted."""
    order = np.argsort(labels, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(rows) and (unlabelled or labels[rows[0]] >= 0):
            yield int(labels[rows[0]]), rows
