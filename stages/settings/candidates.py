"""`candidates`: how deep the teacher ranks, and how it searches."""

from __future__ import annotations

from typing import Literal

from stages.settings.reading import value
from stages.settings.types import Count, Group, Positive


class ApproximateIndex(Group):
    """An index of faiss: its factory string, and what is set for its searches, as `nprobe=16`."""

    factory: str
    search: str | None = None
    sample: Count = 1000


class Candidates(Group):
    depth: Count
    batch_size: Count
    memory: Positive = 8.0
    precision: Literal["float32", "float16"] = "float32"
    index: ApproximateIndex | None = None


def read_candidates() -> Candidates:
    return value("candidates", Candidates)
