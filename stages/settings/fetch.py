"""`fetch`: data sets of the hub, kept as folders of files."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.reading import value
from stages.settings.types import Group


class Fetch(Group):
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Field(min_length=1)]
    files: Annotated[list[str], Field(min_length=1)]


def read_fetch(name: str) -> Fetch:
    return value(f"fetch.{name}", Fetch)
