"""`candidates`: how deep the teacher ranks."""

from __future__ import annotations

from stages.settings.reading import value
from stages.settings.types import Count, Group


class Candidates(Group):
    depth: Count
    batch_size: Count


def read_candidates() -> Candidates:
    return value("candidates", Candidates)
