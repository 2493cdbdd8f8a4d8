"""`score`: by which metrics runs are measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.metrics import Metric
from stages.settings.reading import value
from stages.settings.types import Group


class Score(Group):
    metrics: Annotated[list[Metric], Field(min_length=1)]


def read_score() -> Score:
    return value("score", Score)
