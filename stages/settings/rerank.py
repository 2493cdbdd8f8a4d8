"""`rerank`: rows that are a first stage's best passages, ranked again by a re-ranker."""

from __future__ import annotations

from pathlib import Path

from stages.settings.reading import value
from stages.settings.types import Count, Group, Name


class Reranked(Group):
    reranker: Name
    # The folder of its runs, which the stage depends on.
    first_stage: str
    depth: Count

    @property
    def first_row(self) -> str:
        """The row of the result tables that the first stage is."""
        return Path(self.first_stage).name


def read_reranked(name: str) -> Reranked:
    return value(f"rerank.{name}", Reranked)


def read_rerank() -> dict[str, Reranked]:
    return value("rerank", dict[Name, Reranked])
