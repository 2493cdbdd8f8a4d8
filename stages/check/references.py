"""Contradictions of what models are measured beside: names that are taken, and rows that there are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stages.check.groups import Params
from stages.settings.reading import meant
from stages.shared import carried, models
from stages.shared.errors import UserError
from stages.shared.presets import PRESETS


def contradictions(params: Params) -> Iterator[str]:
    named = models.names(params.recipes, params.merges)
    taken = dict.fromkeys(named, "model of the study")
    for group in ("references", "translated", "fusions"):
        for name in getattr(params, group):
            if name in taken:
                yield f"{group}.{name} has the name of a {taken[name]}: rename it"
            taken[name] = "reference"
    yield from _encoders(params, named)
    yield from _translated(params)
    yield from _fusions(params, [*named, *params.ranked_beside])


def _encoders(params: Params, named: list[str]) -> Iterator[str]:
    for name, reference in params.references.items():
        encoder = reference.encoder
        if encoder is None:
            continue
        if encoder in (*named, "static") or Path(encoder).resolve().is_relative_to(models.MODELS.resolve()):
            yield (
                f"references.{name}.encoder is {encoder!r}, a model of the study, which is measured as it is: name "
                "another, or remove the reference"
            )
        try:
            carried.find(encoder)
        except UserError as error:
            yield f"references.{name}.encoder {error}"
        if reference.preset and reference.preset not in PRESETS:
            yield f"references.{name}.preset is {reference.preset!r}: write null or one of {', '.join(PRESETS)}"


def _translated(params: Params) -> Iterator[str]:
    made = models.made(params.recipes, params.merges)
    for name, row in params.translated.items():
        if row.model not in made:
            yield (
                f"translated.{name}.model is {row.model!r}, which no stage makes{meant(row.model, made)}: name one of "
                f"{', '.join(made)}"
            )


def _fusions(params: Params, rows: list[str]) -> Iterator[str]:
    for name, fusion in params.fusions.items():
        if len(set(fusion.of)) < len(fusion.of):
            yield f"fusions.{name}.of names one twice: name each once"
        for part in fusion.of:
            if part in params.fusions:
                yield f"fusions.{name}.of names {part!r}, a fusion itself: name the rows that it is of"
            elif part not in rows:
                yield (
                    f"fusions.{name}.of names {part!r}, which there is not{meant(part, rows)}: name some of "
                    f"{', '.join(rows)}"
                )
