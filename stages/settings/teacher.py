"""`teacher`: the encoder that ranks the candidate pool."""

from __future__ import annotations

from stages.settings.encoders import PretrainedEncoder
from stages.settings.reading import value


class Teacher(PretrainedEncoder):
    """As the base; its name may be `base`, the study's own."""


def read_teacher() -> Teacher:
    return value("teacher", Teacher)
