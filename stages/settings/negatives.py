"""`negatives`: strategies that keep some of the candidate pool as a query's negatives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.reading import value
from stages.settings.types import Count, Group, Name, Positive, Share


class LabelWeights(Group):
    """How similar two labels are: a weighted mean of measures of it, and what is done to the matrix."""

    similarity: Annotated[dict[Literal["descriptions", "centroids", "path", "given"], Positive], Field(min_length=1)]
    level: Count | None = None
    noise: Share = 0.0


class Negatives(Group):
    k: Count
    direction: str = "each"
    random: Annotated[int, Field(ge=0)] = 0
    rank_min: Count | None = None
    rank_max: Count | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    margin_against: Literal["positive", "both"] = "positive"
    min_score: float | None = None
    max_score: float | None = None
    labels: LabelWeights | None = None
    pick: Literal["random", "weighted", "top"] = "random"
    temperature: Positive = 1.0
    floor: Share = 0.0
    written: bool = False
    round_trip: Count | None = None
    within: Literal["domain"] | None = None

    @property
    def chosen(self) -> int:
        """How many of the k are chosen, by ranks or by labels; the others are drawn from all passages."""
        return self.k - self.random

    @property
    def by_rank(self) -> bool:
        return self.chosen > 0 and self.labels is None

    @model_validator(mode="after")
    def _chosen_somehow(self) -> Negatives:
        if self.chosen < 0:
            raise ValueError(f"random is {self.random}, more than k = {self.k}: lower it")
        ranked = [self.rank_min, self.rank_max, self.absolute_margin, self.relative_margin, self.min_score]
        ranked += [self.max_score, self.round_trip]
        if self.margin_against == "both" and self.absolute_margin is None and self.relative_margin is None:
            raise ValueError("margin_against both needs a margin: set relative_margin or absolute_margin")
        if self.within and (self.random or self.written or not self.by_rank):
            raise ValueError(
                "within keeps what the teacher's ranking gives to the query's domain, not what is chosen by labels, at "
                "random or by a language model: write within null, or random 0 and written false"
            )
        if not self.by_rank and (self.written or any(value is not None for value in ranked)):
            raise ValueError(
                "ranks, margins, scores, round_trip and written belong to negatives that the teacher's ranking gives, "
                "not to those by labels or at random alone: write null"
            )
        if self.by_rank and (self.rank_min is None or self.rank_max is None):
            raise ValueError(
                f"of k = {self.k} only random = {self.random} are random: add rank_min and rank_max, or labels"
            )
        if self.by_rank and self.rank_max - self.rank_min + 1 < self.chosen:  # type: ignore[operator]
            raise ValueError(f"the window rank_min..rank_max must hold at least k = {self.chosen} ranks")
        return self


Strategies = Annotated[dict[Name, Negatives], Field(min_length=1)]


def read_negatives() -> dict[str, Negatives]:
    return value("negatives", Strategies)
