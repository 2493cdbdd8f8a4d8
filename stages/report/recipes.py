"""What the chosen model, recipes and merges are made of, in words."""

from __future__ import annotations

import json
from typing import NamedTuple

from stages.report.study import Study
from stages.settings.merges import Merge
from stages.settings.training_sets import BatchScheme, TrainingSet
from stages.shared import models
from stages.shared.compositions import ANY_LANGUAGE, Composition, selected
from stages.shared.languages import language_name

# What is written for many compositions, in words.
SEVERAL = {
    "all": "every language in every slot",
    "mono": "queries, positives and negatives of one language, each in turn",
    "cross": "queries in one language, positives and negatives in another, each pair in turn",
}


class Ingredient(NamedTuple):
    """A recipe, or what a merge takes of one: its name, share of the weights and compositions in words."""

    name: str
    share: str | None
    compositions: list[tuple[str, str]]
    negatives: str | None
    synthetic: str | None  # the share of its rows whose queries a model thought of; None: as they come
    switched: str | None  # the share of its queries that is code-switched, and the variant
    batches: str | None  # the scheme of its batches; None: of all rows
    limited: str | None = None  # to which domains, part and sample of the queries; None: to none
    trained: str | None = None  # what differs from how others are trained


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
    """A recipe's compositions in words, or what a merge is computed from; the base has none."""
    if name in study.merges:
        merge = study.merges[name]
        return Ingredient(name, share, [("", f"{merge.method}, {formula(merge)}")], None, None, None, None)
    if name not in study.recipes:
        return Ingredient(name, share, [], None, None, None, None)
    recipe = study.recipes[name]
    synthetic = None if recipe.synthetic is None else f"{100 * recipe.synthetic:g} %"
    switched = f"{100 * recipe.switched.share:g} % by {recipe.switched.variant}" if recipe.switched else None
    told = [pair for spelling in recipe.compositions for pair in _told(spelling, study.languages)]
    differing = ", ".join(f"{key.replace('_', ' ')} {json.dumps(own)}" for key, own in recipe.train.written.items())
    return Ingredient(
        *(name, share, told, recipe.negatives, synthetic, switched, _batches(recipe.batches)),
        limited=_limited(recipe),
        trained=differing or None,
    )


def _told(spelling: str, languages: list[str]) -> list[tuple[str, str]]:
    """A composition by its name and in words; what stands for many, as it is written."""
    if spelling in SEVERAL or ANY_LANGUAGE in spelling:
        return [(spelling, SEVERAL.get(spelling, f"queries, positives and negatives, {ANY_LANGUAGE} in any language"))]
    return [(slots.name, _in_words(slots)) for slots in selected([spelling], languages)]


def _batches(scheme: BatchScheme) -> str | None:
    """`hybrid, alpha 0.5, languages by size`."""
    if scheme.scheme == "composition":
        return None
    drawn = "" if scheme.draw in (None, "uniform") else f", languages by size ^ {scheme.exponent:g}"
    return scheme.scheme + (f", alpha {scheme.mono:g}" if scheme.scheme == "hybrid" else "") + drawn


def _limited(recipe: TrainingSet) -> str | None:
    """`domains science, society; part 0 to 0.5; a sample of 70 %`."""
    said = []
    if recipe.domains:
        said.append(f"domains {', '.join(recipe.domains)}")
    if recipe.part:
        said.append("part {:g} to {:g}".format(*recipe.part))
    if recipe.sample is not None:
        said.append(f"a sample of {100 * recipe.sample:g} %")
    return "; ".join(said) or None


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
    """`1 koenen + 3 enkoko`, or the parts alone of a method without weights; then what its parameters are, and how
    weights were found or differ by layer."""
    parts = " + ".join(f"{weight:g} {name}" for name, weight in (merge.weights or {}).items())
    said = {**merge.parameters, **({"task_vectors": True} if merge.task_vectors else {})}
    settings = ", ".join(
        f"{name} {str(given).lower() if isinstance(given, bool) else format(given, 'g')}"
        for name, given in said.items()
    )
    by_layer = "other weights in some layers" if merge.layers else ""
    searched = f"searched, {merge.search.budget:,} tries at most" if merge.search else ""
    return "; ".join(filter(None, (parts or ", ".join(merge.parts), settings, by_layer, searched)))
