"""Contradictions of the base and the teacher: what does not apply to the encoder that is named."""

from __future__ import annotations

from collections.abc import Iterator

from stages.check.groups import Params
from stages.settings.differing import Differing
from stages.settings.encoders import PretrainedEncoder
from stages.settings.train import Train
from stages.shared import carried
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME
from stages.shared.presets import PRESETS
from stages.shared.presets import named as known_as

# What is set of a transformer, and means nothing to a table of vectors.
OF_TRANSFORMERS = ("pooling", "prompts", "max_length", "padding", "attention")


def contradictions(params: Params) -> Iterator[str]:
    yield from _windows(params)
    base, teacher, train = params.base, params.teacher, params.train
    named = {"base.name": base.name, "base.static.from": base.static.from_ or "", "teacher.name": teacher.name}
    for key, name in named.items():
        try:
            carried.find(name)
        except UserError as error:
            yield f"{key} {error}"
    for key, encoder in (("base", base), ("teacher", teacher)):
        if encoder.preset and encoder.preset not in PRESETS:
            yield f"{key}.preset is {encoder.preset!r}: write null or one of {', '.join(PRESETS)}"
    if base.static.from_ in ("static", BASE_NAME):
        yield f"base.static.from is {base.static.from_!r}: name a pretrained encoder, or write null"
    if base.name != "static" and base.static.from_:
        yield f"base.static.from belongs to base.name static, but that is {base.name!r}: write null"
    if base.name == "static":
        if base.vocabulary != "all":
            yield "base.vocabulary does not apply to base.name static, whose pieces are of its documents: write all"
        for trait in OF_TRANSFORMERS:
            if getattr(base, trait) and not base.static.from_:
                yield f"base.{trait} does not apply to base.name static: write null"
        if train.lora:
            yield "train.lora sets adapters beside a transformer's layers, and base.name static has none: write null"
        if train.matryoshka and max(train.matryoshka) >= base.static.dimension:
            yield (
                f"train.matryoshka names {max(train.matryoshka)}, but base.static.dimension is "
                f"{base.static.dimension}, which is trained in any case: name fewer"
            )
        differing = {f"recipes.{name}.train": recipe.train for name, recipe in params.recipes.items()}
        trainings: dict[str, Train | Differing] = {"train": train, **differing}
        for key, own in trainings.items():
            for splitting in ("mini_batch_size", "mini_batch_tokens"):
                if getattr(own, splitting):
                    yield f"{key}.{splitting} cannot split a static base's batches: write null"
            if own.max_length:
                yield f"{key}.max_length does not apply to a static base, which reads texts of any length: write null"
    if teacher.name == "static":
        yield "teacher.name is 'static', which only base.name may be: write base for the study's own base"
    if teacher.name == BASE_NAME:
        for trait, value in teacher:
            if value and trait not in ("name", "dtype"):
                yield f"teacher.{trait} does not apply to teacher.name base: write null"


def _windows(params: Params) -> Iterator[str]:
    """Windows that an encoder surely cannot read; what its prompt and special tokens leave, its stage says."""
    if not params.windows:
        return
    found: dict[str, PretrainedEncoder] = {"base": params.base, "teacher": params.teacher}
    found |= {f"references.{name}": own.pretrained for name, own in params.references.items() if own.encoder}
    for key, encoder in found.items():
        packaged = carried.CARRIED.get(encoder.name)
        known = encoder.preset or (packaged.preset if packaged else known_as(encoder.name))
        limit = encoder.max_length or (PRESETS[known].max_length if known in PRESETS else None)
        if limit and params.windows.size > limit:
            yield f"windows.size is {params.windows.size}, but {key} reads {limit} tokens: lower it"
