"""Contradictions of recipes, merges and indexes: names of models that nothing makes, or that are made twice."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.settings.reading import meant
from stages.settings.recipes import Recipe
from stages.shared.compositions import composition
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME


def contradictions(params: Params) -> Iterator[str]:
    yield from _recipes(params)
    yield from _merges(params)
    yield from _indexes(params)


def _recipes(params: Params) -> Iterator[str]:
    if params.train.lora and params.base.name == "static":
        yield "train.lora sets adapters beside a transformer's layers, and base.name static has none: write null"
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


def _merges(params: Params) -> Iterator[str]:
    models = {BASE_NAME, *params.recipes}
    for name, merge in params.merges.items():
        if name == BASE_NAME:
            yield f"merges.{name} has the name of the base: rename it"
        for part in merge.weights:
            if part not in models:
                yield (
                    f"merges.{name}.weights names {part!r}, which no recipe makes{meant(part, sorted(models))}: "
                    f"add recipes.{part} or name one of {', '.join(sorted(models))}"
                )


def _indexes(params: Params) -> Iterator[str]:
    made = [
        "models/base",
        *(f"models/trained/{r}" for r in params.recipes),
        *(f"models/merged/{m}" for m in params.merges),
    ]
    for name, index in params.indexes.items():
        if index.model.startswith("models/") and index.model not in made:
            yield f"indexes.{name}.model is {index.model!r}, which no stage makes: name one of {', '.join(made)}"
