"""`synthesize`: what a language model writes, and which of it is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.reading import value
from stages.settings.tags import Language
from stages.settings.types import Group, Name, Range, Share


class PassageQueries(Group):
    per_passage: Annotated[int, Field(ge=0)]
    written: Literal["each", "once"]
    prompt: str


class Topics(Group):
    taxonomy: str
    per_topic: Annotated[int, Field(ge=0)]
    prompt: str
    query_types: Annotated[list[str], Field(min_length=1)]
    lengths: Annotated[list[str], Field(min_length=1)]
    difficulties: Annotated[list[str], Field(min_length=1)]
    registers: Annotated[list[str], Field(min_length=1)]


class Translation(Group):
    of: Literal["passages", "queries"]
    source: Language
    target: Language

    @model_validator(mode="after")
    def _apart(self) -> Translation:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}: name two languages")
        return self


class LabelledQueries(Group):
    per_label: Annotated[int, Field(ge=0)]
    language: Language
    examples_language: Language
    examples: Annotated[int, Field(ge=0)]
    prompt: str


class Filters(Group):
    script: Share | None
    language: Share | None
    query_chars: Range | None
    passage_chars: Range | None
    boilerplate: bool
    copied: Share | None
    untranslated: Share | None
    duplicates: bool
    near_duplicates: Share | None
    label_leak: bool


class Synthesize(Group):
    queries: PassageQueries
    topics: Topics
    translations: dict[Name, Translation]
    labelled: LabelledQueries
    translate_prompt: str
    varieties: dict[Language, str]
    filters: Filters


def read_varieties() -> dict[str, str]:
    found: dict[str, str] = value("synthesize.varieties", dict[Language, str])
    return found


def read_synthesize() -> Synthesize:
    return value("synthesize", Synthesize)
