"""Which passages of the candidate pool answer which queries: all of a query's groups; and which a query is itself."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from stages.shared import identical, seeds
from stages.shared.collection import Collection

# Queries whose candidates are looked at together.
ANSWERED_AT_ONCE = 2**8


class Answers:
    """Of `pool`, the names of the passages in the order of their numbers.

    `names`: the groups, sorted, those that are `labels` before the others; `groups`: the number of each passage's
    group, int64, shape [pool].
    """

    def __init__(self, stored: Collection, pool: pl.Series) -> None:
        self.pool, self.qrels = pool, stored.qrels
        of_pool = pool.to_frame("passage").join(stored.groups(), on="passage", how="left", maintain_order="left")
        named = of_pool["group"].unique().sort()
        by_label = named.is_in(stored.labels["group"].implode())
        self.labels: list[str] = named.filter(by_label).to_list()
        self.names = [*self.labels, *named.filter(~by_label)]
        self._numbers = pl.DataFrame({"group": self.names}, schema={"group": pl.String}).with_row_index("number")
        self.groups = self._group_numbers(of_pool)
        self.sizes = np.bincount(self.groups, minlength=len(self.names))
        self._passages = of_pool.with_row_index("number")
        self.itself = identical.of_training(stored.queries, stored.passages, stored.by_label)
        # Passages that one query is itself, at most.
        self.most_itself = int(self.itself["query"].value_counts()["count"].max() or 0)  # type: ignore[arg-type]

    def group_of(self, queries: pl.Series) -> np.ndarray:
        """The number of each query's first group, -1 for none: int64, shape [queries]."""
        first = self.qrels.sort("group").unique("query", keep="first")
        return self._group_numbers(queries.to_frame("query").join(first, on="query", how="left", maintain_order="left"))

    @cache  # noqa: B019
    def numbers(self, seed: int) -> np.ndarray:
        """A number of each passage of the pool, by its name and `seed` (`seeds.numbers`): uint64, shape [pool]."""
        return seeds.numbers(seed, self.pool.to_list())

    def labels_among(self, groups: np.ndarray) -> np.ndarray:
        """Numbers of groups, with -1 for those that are no labels."""
        return np.where(groups < len(self.labels), groups, -1)

    def among(self, queries: pl.Series, candidates: np.ndarray, qrels: pl.DataFrame | None = None) -> np.ndarray:
        """Where a candidate is in one of its query's groups in `qrels` (query, group; None: those that answer it).

        bool, the shape of `candidates` [queries, ranks].
        """
        qrels = self.qrels if qrels is None else qrels
        known = qrels.join(self._numbers, on="group")
        found = queries.to_frame("query").with_row_index("row").join(known, on="query").sort("row")
        rows, numbers = found["row"].to_numpy().astype(np.int64), found["number"].to_numpy().astype(np.int64)
        hit = np.zeros(candidates.shape, bool)
        nth = np.arange(len(rows)) - np.searchsorted(rows, rows)
        # One pass for the n-th group of every query.
        for turn in range(int(nth.max(initial=-1)) + 1):
            of_turn = np.flatnonzero(nth == turn)
            for part in (of_turn[at : at + ANSWERED_AT_ONCE] for at in range(0, len(of_turn), ANSWERED_AT_ONCE)):
                own = rows[part]
                hit[own] |= self.groups.take(candidates[own]) == numbers[part][:, None]
        return hit

    def are_itself(self, queries: pl.Series, candidates: np.ndarray) -> np.ndarray:
        """Where a candidate is the query's own text: bool, the shape of `candidates` [queries, ranks]."""
        rows, numbers = self._pairs(queries, self.itself)
        hit = np.zeros(candidates.shape, bool)
        np.logical_or.at(hit, rows, candidates[rows] == numbers[:, None])
        return hit

    def elsewhere(self, queries: pl.Series, candidates: np.ndarray, about: pl.DataFrame) -> np.ndarray:
        """Where a candidate is of another domain than what answers the query (its first group): bool, the shape of
        `candidates` [queries, ranks]. `about` has passage and domain; what has no domain is of one of its own."""
        named = self._passages.join(about, on="passage", how="left", maintain_order="left")
        domains = named["domain"].fill_null("").rank("dense").cast(pl.Int64).to_numpy()
        of_groups = np.zeros(len(self.names), np.int64)
        of_groups[self.groups] = domains
        return domains[candidates] != of_groups[self.group_of(queries)][:, None]

    def passages(self, qrels: pl.DataFrame) -> pl.DataFrame:
        """Columns query and passage: the passages of each query's groups in `qrels` (query, group)."""
        return qrels.join(self._passages, on="group").select("query", "passage")

    def excluded(self, queries: pl.Series, taken: pl.DataFrame) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """What `sampling.outside` must not draw: what answers a query or is its own text, and what it has `taken`
        (query, passage).

        The number of a group that is excluded whole, for queries whose first has several passages (-1: none); and
        pairs, rows of `queries` and numbers of the pool, of all else. That group is never spelled out in pairs, of
        which there would be as many as queries times passages of a group.
        """
        own = self.group_of(queries)
        wide = (own >= 0) & (self.sizes[own] > 1)
        whole = pl.DataFrame({"query": queries.filter(wide), "group": self._numbers["group"].gather(own[wide])})
        asked = self.qrels.join(queries.to_frame("query"), on="query", how="semi")
        rest = asked.join(whole, on=["query", "group"], how="anti")
        pairs = pl.concat([self.passages(rest), self.itself, taken.select("query", "passage")]).unique()
        return np.where(wide, own, -1), self._pairs(queries, pairs)

    def _pairs(self, queries: pl.Series, pairs: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Rows of `queries` and numbers of the pool, int64, of the `pairs` (query, passage) that are in both."""
        known = pairs.join(self._passages.select("passage", "number"), on="passage")
        found = queries.to_frame("query").with_row_index("row").join(known, on="query")
        return found["row"].to_numpy().astype(np.int64), found["number"].to_numpy().astype(np.int64)

    def _group_numbers(self, table: pl.DataFrame) -> np.ndarray:
        """Numbers of the column `group`, -1 where it is null: int64, shape [rows]."""
        found = table.select("group").join(self._numbers, on="group", how="left", maintain_order="left")["number"]
        return found.cast(pl.Int64).fill_null(-1).to_numpy()
