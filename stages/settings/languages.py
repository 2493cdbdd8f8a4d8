"""`languages`: those a passage must have, and that fill the slots of a triple."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from stages.settings.reading import value
from stages.shared.languages import is_language


def _language(tag: str) -> str:
    if not is_language(tag):
        raise ValueError(f"{tag!r} is no language tag: write a BCP-47 code such as en, ko or hi-Latn")
    return tag


Language = Annotated[str, AfterValidator(_language)]
Languages = Annotated[list[Language], Field(min_length=1)]


def read_languages() -> list[str]:
    return value("languages", Languages)
