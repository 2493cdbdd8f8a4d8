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
    parts = {BASE_NAME, *params.recipes}
    for name, merge in params.merges.items():
        if name == BASE_NAME:
            yield f"merges.{name} has the name of the base: rename it"
        key = "weights" if merge.weights else "models"
        for part in merge.parts:
            if part not in parts:
                yield (
                    f"merges.{name}.{key} names {part!r}, which no recipe makes{meant(part, sorted(parts))}: "
                    f"add recipes.{part} or name one of {', '.join(sorted(parts))}"
                )
        if merge.on_base and BASE_NAME in merge.parts:
            yield (
                f"merges.{name} takes its models as differences from the base, of which the base itself has none: "
                f"remove it from {key}"
            )


def _indexes(params: Params) -> Iterator[str]:
    made = models.made(params.recipes, params.merges)
    for name, index in params.indexes.items():
        if index.model.startswith(f"{models.MODELS}/") and index.model not in made:
            yield f"indexes.{name}.model is {index.model!r}, which no stage makes: name one of {', '.join(made)}"
