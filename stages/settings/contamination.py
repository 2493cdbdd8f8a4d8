"""`contamination`: when a text of a benchmark counts as one that is trained on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Group


class Contamination(Group):
    near: Annotated[float, Field(ge=0.5, lt=1)] | None
    examples: Annotated[int, Field(ge=0)]


def read_contamination() -> Contamination:
    return value("contamination", Contamination)
