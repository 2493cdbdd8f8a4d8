"""`retrieve`: how deep a run is, and how much memory vectors may take."""

from __future__ import annotations

from stages.settings.reading import value
from stages.settings.types import Count, Group, Positive


class Retrieve(Group):
    depth: Count
    batch_size: Count
    memory: Positive = 8.0


def read_retrieve() -> Retrieve:
    return value("retrieve", Retrieve)
