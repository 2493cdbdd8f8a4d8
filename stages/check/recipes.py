"""Contradictions of recipes and re-rankers: strategies, compositions and batches that there are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stages.check.groups import Params
from stages.settings.reading import meant
from stages.settings.training_sets import BatchScheme, TrainingSet
from stages.shared.compositions import Composition, selected
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME


def contradictions(params: Params) -> Iterator[str]:
    for name in params.recipes:
        if name == BASE_NAME or name in params.merges:
            yield f"recipes.{name} has the name of another model: rename it"
        try:
            params.train.changed(params.recipes[name].train.written, f"recipes.{name}.train")
        except UserError as error:
            yield str(error).removeprefix("params.yaml: ")
    for key, trained_on in params.training_sets.items():
        yield from _unmade(key, trained_on, params)
    yield from _unscored(params)
    if len({params.negatives[r.negatives].k for r in params.recipes.values() if r.negatives in params.negatives}) > 1:
        yield "the recipes' negatives differ in k, so their losses would not compare: give them one k"


def _unscored(params: Params) -> Iterator[str]:
    """Recipes whose negatives have no score of the teacher's, which training is to learn from."""
    for name, strategy in params.negatives.items() if params.train.distillation else ():
        recipes = [f"recipes.{key}" for key, recipe in params.recipes.items() if recipe.negatives == name]
        if recipes and (not strategy.by_rank or strategy.random or strategy.written):
            yield (
                f"train.distillation learns from the teacher's scores, but not all of negatives.{name} are of its "
                f"ranking, which {', '.join(recipes)} {'names' if len(recipes) == 1 else 'name'}: name a strategy by "
                "ranks alone, without random and written, or write null"
            )


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
    for domain in trained_on.domains or ():
        if domain not in params.domains:
            known = list(params.domains)
            others = f" or name one of {', '.join(known)}" if known else ""
            yield (
                f"{key}.domains names {domain!r}, which there is not{meant(domain, known)}: "
                f"add domains.{domain}{others}"
            )
    try:
        found = selected(trained_on.compositions, params.languages)
    except UserError as error:
        yield f"{key}.compositions: {error}"
    else:
        yield from _unmixed(f"{key}.batches", trained_on.batches, found)


# Which compositions a scheme of batches draws, and in words.
DRAWN_BY_SCHEME: dict[str, tuple[Callable[[Composition], bool], str]] = {
    "composition": (lambda slots: True, ""),
    "x-x-mono": (lambda slots: slots.is_mono, "compositions of one language"),
    "x-x": (lambda slots: not slots.crosses, "compositions whose query and positive are in one language"),
    "x-y": (lambda slots: slots.crosses, "compositions whose query and positive differ in language"),
    "hybrid": (lambda slots: slots.is_mono or slots.crosses, "compositions of one language and such that cross"),
}


def _unmixed(key: str, batches: BatchScheme, found: list[Composition]) -> Iterator[str]:
    """Compositions that a scheme of batches has no place for, and such that it lacks."""
    is_drawn, drawn = DRAWN_BY_SCHEME[batches.scheme]
    if undrawn := [slots.name for slots in found if not is_drawn(slots)]:
        yield (
            f"{key}.scheme is {batches.scheme}, which takes {drawn}, and {undrawn[0]} is none: leave it out, or write "
            "another scheme"
        )
    if undrawn or batches.scheme != "hybrid":
        return
    crosses = {slots.crosses for slots in found}
    for kind, needed in (("mono-lingual", batches.mono > 0), ("cross-lingual", batches.mono < 1)):
        if needed and (kind == "cross-lingual") not in crosses:
            yield (
                f"{key}.alpha is {batches.mono:g}, so some batches are {kind}, but none of its compositions is: add "
                "one, or change alpha"
            )
