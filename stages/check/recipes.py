"""Contradictions of recipes: strategies, compositions and batches that there are not."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.settings.recipes import Recipe
from stages.shared.compositions import composition
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME


def contradictions(params: Params) -> Iterator[str]:
    for name, recipe in params.recipes.items():
        if name == BASE_NAME or name in params.merges:
            yield f"recipes.{name} has the name of another model: rename it"
        if recipe.negatives not in params.negatives:
            yield (
                f"recipes.{name}.negatives is {recipe.negatives!r}, which no strategy makes: "
                f"name one of {', '.join(params.negatives)}"
            )
        for spelling in recipe.compositions:
            try:
                composition(spelling, params.languages)
            except UserError as error:
                yield f"recipes.{name}.compositions: {error}"
                break
        else:
            yield from _unmixed(name, recipe, params.languages)
    if len({params.negatives[r.negatives].k for r in params.recipes.values() if r.negatives in params.negatives}) > 1:
        yield "the recipes' negatives differ in k, so their losses would not compare: give them one k"


def _unmixed(name: str, recipe: Recipe, languages: list[str]) -> Iterator[str]:
    """Batches that a hybrid recipe asks for and has no compositions for."""
    if recipe.hybrid is None:
        return
    crosses = {composition(spelling, languages).crosses for spelling in recipe.compositions}
    for kind, needed in (("mono-lingual", recipe.hybrid > 0), ("cross-lingual", recipe.hybrid < 1)):
        if needed and (kind == "cross-lingual") not in crosses:
            yield (
                f"recipes.{name}.hybrid is {recipe.hybrid:g}, so some batches are {kind}, but none of its compositions "
                "is: add one, or change hybrid"
            )
