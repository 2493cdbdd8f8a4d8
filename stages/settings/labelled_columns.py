"""Where a row with a label has what: of a knowledge base (`corpus.labelled`) and of what is searched (`indexes`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.settings.types import Group


class LabelledColumns(Group):
    """Where a labelled row has what; `label` may be several columns, the parts of a hierarchical label."""

    id: str | None = None
    text: str | None = None
    label: str | Annotated[list[str], Field(min_length=1)]
    description: str | None = None
