"""`compare`: by what models are compared, and on which benchmark they are chosen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stages.settings.metrics import Metric
from stages.settings.reading import value
from stages.settings.types import Count, Group, Name


class Compare(Group):
    metric: Metric
    select_on: Name
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Count
    correction: Literal["holm", "bonferroni"]


def read_compare() -> Compare:
    return value("compare", Compare)


def read_select_on() -> str:
    return value("compare.select_on", Name)
