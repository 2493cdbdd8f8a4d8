"""What the teacher's lists say of single passages."""

from __future__ import annotations

import numpy as np
import polars as pl


def scored(candidates: np.ndarray, lists: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The scores of `candidates` [queries, any] in `lists` (CANDIDATES, a row a query), and whether they are listed.

    What is not listed has the last score of its list, which is at least its own.
    """
    depth = int(lists["candidates"].list.len().max() or 0)  # type: ignore[arg-type]
    listed = lists["candidates"].list.to_array(depth).to_numpy().astype(np.int64)
    scores = lists["scores"].list.to_array(depth).to_numpy().astype(np.float64)
    if not depth or not candidates.size:
        return np.zeros(candidates.shape), np.zeros(candidates.shape, bool)
    # Query and passage as one number, so that one search finds all.
    width = max(int(listed.max()), int(candidates.max())) + 1
    rows = np.arange(len(listed))[:, None] * width
    keys = (rows + listed).ravel()
    order = np.argsort(keys)
    wanted = rows + candidates
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = keys[order][at] == wanted
    return np.where(found, scores.ravel()[order][at], scores[:, -1:]), found
