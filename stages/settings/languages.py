"""`languages`: those a passage must have, and that fill the slots of a triple."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.tags import Language

Languages = Annotated[list[Language], Field(min_length=1)]


def read_languages() -> list[str]:
    return value("languages", Languages)
