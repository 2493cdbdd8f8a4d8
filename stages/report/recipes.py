"""What the chosen model, recipes and merges are made of, in words."""

from __future__ import annotations

from typing import NamedTuple

from stages.report.study import Study
from stages.settings.merges import Merge
from stages.shared import models
from stages.shared.compositions import Composition, composition
from stages.shared.languages import language_name


class Ingredient(NamedTuple):
    """A recipe, or what a merge takes of one: its name, share of the weights and compositions in words."""

    name: str
    share: str | None
    compositions: list[tuple[str, str]]
    negatives: str | None
    synthetic: str | None  # the share of its rows whose queries a model thought of; None: as they come


class Chosen(NamedTuple):
    name: str
    kind: str
    folder: str
    method: str | None  # of a merge
    parts: list[Ingredient]


def chosen(study: Study, name: str) -> Chosen:
    """What the chosen model is made of, and where it lies."""
    if name in study.merges:
        merge = study.merges[name]
        total = sum(merge.weights.values())
        parts = [ingredient(study, source, f"{100 * weight / total:.3g} %") for source, weight in merge.weights.items()]
        return Chosen(name, "merge", str(models.MERGED / name), merge.method, parts)
    parts = [ingredient(study, name)] if name in study.recipes else []
    return Chosen(name, study.kind(name), str(models.source(name)), None, parts)


def ingredient(study: Study, name: str, share: str | None = None) -> Ingredient:
    """A recipe's compositions in words; the base has none."""
    if name not in study.recipes:
        return Ingredient(name, share, [], None, None)
    recipe = study.recipes[name]
    read = [composition(spelling, study.languages) for spelling in recipe.compositions]
    synthetic = None if recipe.synthetic is None else f"{100 * recipe.synthetic:g} %"
    return Ingredient(name, share, [(c.name, _in_words(c)) for c in read], recipe.negatives, synthetic)


def _in_words(slots: Composition) -> str:
    query, positive, negative = (language_name(tag) for tag in slots)
    return f"{query} queries, {positive} positives, {negative} negatives"


def weights(merge: Merge) -> str:
    """`1 koenen + 3 enkoko`."""
    return " + ".join(f"{weight:g} {name}" for name, weight in merge.weights.items())
