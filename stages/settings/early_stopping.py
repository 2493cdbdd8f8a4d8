"""`train.early_stopping`: on what training is measured while it runs, and when it ends. `validation`, which chooses the
texts of it, reads it as well."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.metrics import Metric
from stages.settings.reading import value
from stages.settings.types import Count, Group, Name


class EarlyStopping(Group):
    benchmark: Name
    metric: Metric
    tasks: Annotated[list[str], Field(min_length=1)]
    every: Count
    patience: Count


def read_early_stopping() -> EarlyStopping | None:
    return value("train.early_stopping", EarlyStopping | None)
