"""`recipes`: training sets, each of which gives one model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.differing import Differing
from stages.settings.reading import value
from stages.settings.training_sets import TrainingSet
from stages.settings.types import Name


class Recipe(TrainingSet):
    train: Differing = Differing()


Recipes = Annotated[dict[Name, Recipe], Field(min_length=1)]


def read_recipe(name: str) -> Recipe:
    return value(f"recipes.{name}", Recipe)


def read_recipes() -> dict[str, Recipe]:
    return value("recipes", Recipes)
