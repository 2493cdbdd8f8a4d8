"""`merges`: models computed from the weights of others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.reading import value
from stages.settings.types import Group, Name


class Merge(Group):
    method: Literal["linear"]
    weights: Annotated[dict[Name, float], Field(min_length=2)]

    @model_validator(mode="after")
    def _weighted(self) -> Merge:
        if abs(sum(self.weights.values())) < 1e-9:
            raise ValueError("the weights add up to 0, so there is nothing to average")
        return self


def read_merge(name: str) -> Merge:
    return value(f"merges.{name}", Merge)


def read_merges() -> dict[str, Merge]:
    return value("merges", dict[Name, Merge])
