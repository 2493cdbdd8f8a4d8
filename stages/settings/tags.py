"""A language tag, as several groups write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from stages.shared.languages import is_language


def _language(tag: str) -> str:
    if not is_language(tag):
        raise ValueError(f"{tag!r} is no language tag: write a BCP-47 code such as en, ko or hi-Latn")
    return tag


Language = Annotated[str, AfterValidator(_language)]
