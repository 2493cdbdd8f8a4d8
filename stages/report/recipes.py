"""What the chosen model, recipes and merges are made of, in words."""

from __future__ import annotations

from typing import NamedTuple

from stages.report.study import Study
from stages.settings.merges import Merge
from stages.shared import models
from stages.shared.compositions import Composition, selected
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
        parts = [ingredient(study, source, share) for source, share in shares(merge).items()]
        return Chosen(name, "merge", str(models.MERGED / name), merge.method, parts)
    parts = [ingredient(study, name)] if name in study.recipes else []
    return Chosen(name, study.kind(name), str(models.source(name)), None, parts)


def ingredient(study: Study, name: str, share: str | None = None) -> Ingredient:
    """A recipe's compositions in words; the base has none."""
    if name not in study.recipes:
        return Ingredient(name, share, [], None, None)
    recipe = study.recipes[name]
    read = selected(recipe.compositions, study.languages)
    synthetic = None if recipe.synthetic is None else f"{100 * recipe.synthetic:g} %"
    return Ingredient(name, share, [(c.name, _in_words(c)) for c in read], recipe.negatives, synthetic)


def _in_words(slots: Composition) -> str:
    query, positive, negative = (language_name(tag) for tag in slots)
    return f"{query} queries, {positive} positives, {negative} negatives"


def shares(merge: Merge) -> dict[str, str | None]:
    """Each part's share of an average, or its weight where a method does not scale weights to 1; None without any."""
    if merge.weights is None:
        return dict.fromkeys(merge.parts)
    if merge.method != "linear":
        return {name: f"{weight:g} x" for name, weight in merge.weights.items()}
    total = sum(merge.weights.values())
    return {name: f"{100 * weight / total:.3g} %" for name, weight in merge.weights.items()}


def formula(merge: Merge) -> str:
    """`1 koenen + 3 enkoko`, or the parts alone of a method without weights; then what its parameters are."""
    parts = " + ".join(f"{weight:g} {name}" for name, weight in (merge.weights or {}).items())
    said = {**merge.parameters, **({"task_vectors": True} if merge.task_vectors else {})}
    settings = ", ".join(
        f"{name} {str(given).lower() if isinstance(given, bool) else format(given, 'g')}"
        for name, given in said.items()
    )
    return (parts or ", ".join(merge.parts)) + (f"; {settings}" if settings else "")
