"""`labels`: what is told of benchmarks by label."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Count, Group, Share


class Labels(Group):
    precision: Share
    bins: Count
    confusions: Annotated[int, Field(ge=0)]


def read_labels() -> Labels:
    return value("labels", Labels)


def read_precision() -> float:
    return value("labels.precision", Share)
