"""Processes that train together."""

from __future__ import annotations

from torch import distributed


def count() -> int:
    """How many there are, this one included."""
    started = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if started else 1
