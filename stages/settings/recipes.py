"""`recipes`: training sets, each of which gives one model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Group, Name, Share


class Recipe(Group):
    compositions: Annotated[list[str], Field(min_length=1)]
    negatives: Name
    hybrid: Share | None = None
    synthetic: Share | None = None


Recipes = Annotated[dict[Name, Recipe], Field(min_length=1)]


def read_recipes() -> dict[str, Recipe]:
    return value("recipes", Recipes)
