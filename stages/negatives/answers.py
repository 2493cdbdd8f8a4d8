"""Which passages of the pool answer which queries: those judged so, and all of the query's label."""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.shared.collection import Collection


class Answers:
    """Of `pool`, the names of the passages in the order of their numbers."""

    def __init__(self, stored: Collection, pool: pl.Series) -> None:
        self.pool, self.judged = pool, stored.judgements
        self.numbered = pl.DataFrame({"passage": pool}).with_row_index("number")
        named = stored.labels.filter(pl.col("label") != "")
        self.names: list[str] = named["label"].unique().sort().to_list()
        self._numbers = pl.DataFrame({"label": self.names}, schema={"label": pl.String}).with_row_index("number")
        self._stored = stored
        self.labels = self._label_numbers("passage", pool)  # of the pool's passages

    def labels_of(self, queries: pl.Series) -> np.ndarray:
        """The queries' labels as numbers of `names`, -1 for none: int64, shape [queries]."""
        return self._label_numbers("query", queries)

    def pairs(self, queries: pl.Series, table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """The rows of `table` (query, passage) as rows of `queries` and numbers of the pool, without those outside."""
        known = table.select("query", "passage").unique().join(self.numbered, on="passage")
        found = queries.to_frame("query").with_row_index("row").join(known, on="query")
        return found["row"].to_numpy().astype(np.int64), found["number"].to_numpy().astype(np.int64)

    def among(self, queries: pl.Series, candidates: np.ndarray) -> np.ndarray:
        """Where a candidate answers its query: bool, the shape of `candidates` [queries, ranks]."""
        hit = self.are(queries, candidates, self.judged)
        if self.names:
            own = self.labels_of(queries)[:, None]
            hit |= (self.labels[candidates] == own) & (own >= 0)
        return hit

    def are(self, queries: pl.Series, candidates: np.ndarray, table: pl.DataFrame) -> np.ndarray:
        """Where a candidate is one of its query's passages in `table` (query, passage): as `among`."""
        rows, numbers = self.pairs(queries, table)
        hit = np.zeros(candidates.shape, bool)
        order = np.argsort(rows, kind="stable")
        rows, numbers = rows[order], numbers[order]
        nth = np.arange(len(rows)) - np.searchsorted(rows, rows)
        # One pass for the n-th such passage of every query.
        for turn in range(int(nth.max(initial=-1)) + 1):
            own = rows[nth == turn]
            hit[own] |= candidates[own] == numbers[nth == turn][:, None]
        return hit

    def _label_numbers(self, kind: str, names: pl.Series) -> np.ndarray:
        labels = self._stored.labels_of(kind, names).to_frame("label")
        found = labels.join(self._numbers, on="label", how="left", maintain_order="left")["number"]
        return found.cast(pl.Int64).fill_null(-1).to_numpy()
