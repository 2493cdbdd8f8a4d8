"""`compare`: by what models are compared, and how and on which benchmark one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.settings.metrics import Metric
from stages.settings.reading import value
from stages.settings.types import Count, Group, Name

ObjectiveWeight = Annotated[float, Field(ge=0)]


class ObjectiveWeights(Group):
    mono: ObjectiveWeight
    cross: ObjectiveWeight
    multi: ObjectiveWeight
    bias: ObjectiveWeight

    @model_validator(mode="after")
    def _some(self) -> ObjectiveWeights:
        if not self.mono + self.cross + self.multi:
            raise ValueError("mono, cross and multi are all 0: give one of them a weight")
        return self


class Constraint(Group):
    """Not below `of`'s in this group of tasks (of bias: not above): by more than `within`, or surely."""

    of: Name
    within: Literal["interval"] | ObjectiveWeight


class Choose(Group):
    weights: ObjectiveWeights
    constraints: dict[Literal["mono", "cross", "multi", "bias"], Constraint]
    ties: Literal["standard_error", "significance", "none"]


class Contrast(Group):
    """Models that are tested against others by themselves, as planned beforehand; `beside` are shown and not tested."""

    models: Annotated[list[Name], Field(min_length=1)]
    against: Annotated[list[Name], Field(min_length=1)]
    beside: Annotated[list[Name], Field(default_factory=list)]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(model, reference) for model in self.models for reference in self.against]

    @property
    def shown(self) -> list[str]:
        return [*self.beside, *self.against, *self.models]

    @model_validator(mode="after")
    def _each_once(self) -> Contrast:
        if twice := [name for name in self.shown if self.shown.count(name) > 1]:
            raise ValueError(f"{twice[0]} is named twice: name it in models, in against or in beside")
        return self


class Inference(Group):
    """How differences are tested, which tools read of other commits too: what else these say is theirs."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Count
    correction: Literal["holm", "bonferroni"]

    @classmethod
    def of(cls, compare: Mapping[str, Any]) -> Inference:
        """Of the group `compare` of any version."""
        return Inference.model_validate({key: compare[key] for key in Inference.model_fields if key in compare})


class Compare(Inference):
    metric: Metric
    select_on: Name
    choose: Choose
    contrasts: dict[Name, Contrast]


def read_compare() -> Compare:
    return value("compare", Compare)


def read_select_on() -> str:
    return value("compare.select_on", Name)
