"""Contradictions of recipes and re-rankers: strategies, compositions and batches that there are not."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.settings.reading import meant
from stages.settings.training_sets import TrainingSet
from stages.shared.compositions import composition
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME


def contradictions(params: Params) -> Iterator[str]:
    for name in params.recipes:
        if name == BASE_NAME or name in params.merges:
            yield f"recipes.{name} has the name of another model: rename it"
    for key, trained_on in params.training_sets.items():
        yield from _unmade(key, trained_on, params)
    if len({params.negatives[r.negatives].k for r in params.recipes.values() if r.negatives in params.negatives}) > 1:
        yield "the recipes' negatives differ in k, so their losses would not compare: give them one k"


def _unmade(key: str, trained_on: TrainingSet, params: Params) -> Iterator[str]:
    """What the training set of the group `key` names, and nothing makes."""
    if trained_on.negatives not in params.negatives:
        yield (
            f"{key}.negatives is {trained_on.negatives!r}, which no strategy makes: "
            f"name one of {', '.join(params.negatives)}"
        )
    if trained_on.switched and trained_on.switched.variant not in params.codeswitch:
        variant = trained_on.switched.variant
        near = meant(variant, list(params.codeswitch))
        yield (
            f"{key}.switched.variant is {variant!r}, which there is not{near}: "
            f"add codeswitch.{variant}, or name another"
        )
    for spelling in trained_on.compositions:
        try:
            composition(spelling, params.languages)
        except UserError as error:
            yield f"{key}.compositions: {error}"
            break
    else:
        yield from _unmixed(key, trained_on, params.languages)


def _unmixed(key: str, trained_on: TrainingSet, languages: list[str]) -> Iterator[str]:
    """Batches that a hybrid training set asks for and has no compositions for."""
    if trained_on.hybrid is None:
        return
    crosses = {composition(spelling, languages).crosses for spelling in trained_on.compositions}
    for kind, needed in (("mono-lingual", trained_on.hybrid > 0), ("cross-lingual", trained_on.hybrid < 1)):
        if needed and (kind == "cross-lingual") not in crosses:
            yield (
                f"{key}.hybrid is {trained_on.hybrid:g}, so some batches are {kind}, but none of its compositions "
                "is: add one, or change hybrid"
            )
