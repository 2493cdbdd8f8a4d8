"""`fusions`: rows that are others' runs, fused by rank."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Group, Name


class Fusion(Group):
    of: Annotated[list[Name], Field(min_length=2)]
    # Cormack, Clarke and Buettcher's constant.
    k: Annotated[int, Field(ge=0)] = 60


def read_fusions() -> dict[str, Fusion]:
    return value("fusions", dict[Name, Fusion])
