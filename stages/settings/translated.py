"""`translated`: models on benchmarks that a lexicon has translated word by word."""

from __future__ import annotations

from typing import Literal

from stages.settings.reading import value
from stages.settings.tags import Language
from stages.settings.types import Group, Name


class Translated(Group):
    # The folder of a model, which the stage depends on.
    model: str
    lexicon: Name
    into: Language
    side: Literal["query", "both"] = "both"


def read_translated(name: str) -> Translated:
    return value(f"translated.{name}", Translated)
