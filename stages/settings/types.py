"""What the values of several groups are made of."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

# File systems take 255 bytes, of which drafts and suffixes need some.
LONGEST_NAME = 100


def checked_name(name: str) -> str:
    """`name`, which becomes a file's, a stage's and an override's (DVC's `-S`); raises `ValueError` unless it is what
    all three take."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError(f"{name!r} is no name: use letters, digits, - and _, beginning with a letter")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{name!r} has {len(name)} characters: use {LONGEST_NAME} at most")
    return name


Name = Annotated[str, AfterValidator(checked_name)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Group(BaseModel):
    """A group of keys: unknown keys are refused."""

    # Strict: "2e-5" in quotes or `true` is no number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


def _range(bounds: list[int]) -> list[int]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds} begins above its end: write the least, then the most")
    return bounds


Range = Annotated[list[int], Field(min_length=2, max_length=2), AfterValidator(_range)]


def word_or(word: str | tuple[str, ...], other: Any) -> Any:
    """The type of `word` itself, or of one of several, or of `other`; a mistake is then one sentence, about the one
    that was meant."""
    kind = Discriminator(lambda value: "word" if isinstance(value, str) else "[key]")
    return Annotated[Annotated[Literal[word], Tag("word")] | Annotated[other, Tag("[key]")], kind]


def or_by_language(one: Any, each: Any, language: Any) -> Any:
    """The type of `one` for all languages, or of a mapping from each `language` to its own, `each`; a mistake is then
    one sentence, about the one that was meant."""
    kind = Discriminator(lambda value: "[key]" if isinstance(value, dict) else "word")
    return Annotated[Annotated[one, Tag("word")] | Annotated[dict[language, each], Tag("[key]")], kind]
