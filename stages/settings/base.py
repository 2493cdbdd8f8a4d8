"""`base`: the encoder every recipe starts from."""

from __future__ import annotations

from stages.settings.encoders import PretrainedEncoder
from stages.settings.reading import value
from stages.settings.types import Count, Group, Positive


class QueryNormalizer(Group):
    """What is done to queries before they are encoded."""

    elongation: bool
    script: bool
    spelling: bool


class Static(Group):
    vocabulary: Count
    dimension: Count
    steps: Count
    batch_size: Count
    learning_rate: Positive
    temperature: Positive


class Base(PretrainedEncoder):
    query_normalizer: QueryNormalizer | None
    static: Static


def read_base() -> Base:
    return value("base", Base)
