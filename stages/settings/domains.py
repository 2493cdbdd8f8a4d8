"""`domains`: what passages are about, by the strata that their source gives them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Name

# Patterns of strata, with *, ? and [...] as in names of files.
Domains = dict[Name, Annotated[list[str], Field(min_length=1)]]


def read_domains() -> dict[str, list[str]]:
    found: dict[str, list[str]] = value("domains", Domains)
    return found
