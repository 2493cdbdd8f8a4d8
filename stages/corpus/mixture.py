"""How much of each part a mixed source gives."""

from __future__ import annotations

import numpy as np

from stages.shared.errors import UserError


def quotas(sizes: dict[str, int], weights: dict[str, float], limit: int | None) -> dict[str, int]:
    """Passages that each part gives of the `sizes` it has: as `weights` are to each other, and as many as can be had
    (the part that is scarcest for its weight is taken whole) or as `limit` allows. Raises `UserError`."""
    for part, size in sizes.items():
        if not size:
            raise UserError(
                f"corpus.parts.{part} gives nothing that other parts do not have: remove it, or all parts' weights"
            )
    total = sum(weights.values())
    passages = min(size / weights[part] for part, size in sizes.items())
    if limit is not None:
        passages = min(passages, limit / total)
    found = {part: int(passages * weights[part] + 1e-9) for part in sizes}
    for part, quota in found.items():
        if not quota:
            raise UserError(f"corpus.parts.{part} would give no passage at its weight: raise it, or corpus.limit")
    return found


def draw(parts: np.ndarray, orders: np.ndarray, quotas: list[int]) -> np.ndarray:
    """Which of n passages are taken: bool, shape [n]. Of each part, `parts` (int, [n]) saying which, those that are
    first by `orders` (uint64, [n])."""
    taken = np.zeros(len(parts), bool)
    for part, quota in enumerate(quotas):
        members = np.flatnonzero(parts == part)
        taken[members[np.argsort(orders[members], kind="stable")[:quota]]] = True
    return taken
