"""What a training set is made of: that of a recipe, and that of a re-ranker."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.types import Group, Name, Share


class SwitchedShare(Group):
    """How many rows are code-switched, and by which variant."""

    variant: Name
    share: Share


class TrainingSet(Group):
    compositions: Annotated[list[str], Field(min_length=1)]
    negatives: Name
    hybrid: Share | None = None
    synthetic: Share | None = None
    switched: SwitchedShare | None = None
    sample: Annotated[float, Field(gt=0, le=1)] | None = None
