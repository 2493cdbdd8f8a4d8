"""`base`: the encoder every recipe starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from stages.settings.encoders import PretrainedEncoder
from stages.settings.reading import value
from stages.settings.tags import Language
from stages.settings.types import Count, Group, Positive, word_or


class Kept(Group):
    """What is kept of a vocabulary: the pieces of the study's texts and single characters, or whole scripts; those of
    the study's languages, and of `languages`."""

    keep: Literal["texts", "scripts"]
    languages: list[Language]


if TYPE_CHECKING:
    KeptOrAll = Kept | Literal["all"]
else:
    KeptOrAll = word_or("all", Kept)


class QueryNormalizer(Group):
    """What is done to queries before they are encoded."""

    elongation: bool
    script: bool
    spelling: bool


class Static(Group):
    # `from` is a word of Python's, and is written without the mark wherever it is shown.
    model_config = ConfigDict(serialize_by_alias=True)

    from_: str | None = Field(alias="from")
    documents: Literal["all", "train"]
    vocabulary: Count
    dimension: Count
    steps: Count
    batch_size: Count
    learning_rate: Positive
    temperature: Positive


class Base(PretrainedEncoder):
    vocabulary: KeptOrAll
    query_normalizer: QueryNormalizer | None
    static: Static


def read_base() -> Base:
    return value("base", Base)
