"""Contradictions of merges and indexes: models that nothing makes, and names that are given twice."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.settings.reading import meant
from stages.shared import models
from stages.shared.models import BASE_NAME


def contradictions(params: Params) -> Iterator[str]:
    yield from _merges(params)
    yield from _indexes(params)


def _merges(params: Params) -> Iterator[str]:
    made = {BASE_NAME, *params.recipes}
    for name, merge in params.merges.items():
        if name == BASE_NAME:
            yield f"merges.{name} has the name of the base: rename it"
        key = "weights" if merge.weights else "search.models" if merge.search else "models"
        parts = made | (params.merges.keys() - {name})
        for part in merge.parts:
            if part == name:
                yield f"merges.{name}.{key} names itself: remove it"
            elif part not in parts:
                yield (
                    f"merges.{name}.{key} names {part!r}, which no recipe or merge makes{meant(part, sorted(parts))}: "
                    f"add recipes.{part} or name one of {', '.join(sorted(parts))}"
                )
            elif merge.takes.learns and part not in params.recipes:
                yield (
                    f"merges.{name} is {merge.method}, which learns from what its models were trained on, but {part} "
                    f"has no training set: name recipes in {key}"
                )
        if merge.on_base and BASE_NAME in merge.parts:
            yield (
                f"merges.{name} takes its models as differences from the base, of which the base itself has none: "
                f"remove it from {key}"
            )
    yield from _circles(params)


def _circles(params: Params) -> Iterator[str]:
    """One sentence for the first merges that lead back to themselves by way of others."""
    for name in params.merges:
        path = [name]

        def leads_back(at: str, path: list[str] = path) -> bool:
            for part in params.merges[at].parts:
                if len(path) > 1 and part == path[0]:
                    return True
                if part in params.merges and part not in path:
                    path.append(part)
                    if leads_back(part, path):
                        return True
                    path.pop()
            return False

        if leads_back(name):
            yield f"merges.{name} is made of itself ({' of '.join([*path, name])}): let one of them name other models"
            return


def _indexes(params: Params) -> Iterator[str]:
    made = models.made(params.recipes, params.merges)
    for name, index in params.indexes.items():
        if index.model.startswith(f"{models.MODELS}/") and index.model not in made:
            yield f"indexes.{name}.model is {index.model!r}, which no stage makes: name one of {', '.join(made)}"
