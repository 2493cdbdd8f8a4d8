"""`retrieve`: how deep a run is."""

from __future__ import annotations

from stages.settings.reading import value
from stages.settings.types import Count, Group


class Retrieve(Group):
    depth: Count
    batch_size: Count


def read_retrieve() -> Retrieve:
    return value("retrieve", Retrieve)
