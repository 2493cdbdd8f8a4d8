"""`indexes`: models' indexes of labelled entries, which `python -m tools.answer` searches."""

from __future__ import annotations

from pydantic import Field, model_validator

from stages.settings.labelled_columns import LabelledColumns
from stages.settings.reading import value
from stages.settings.types import Group


class Index(Group):
    """A model's index of entries, which `tools.answer` searches."""

    model: str
    path: str
    rows: dict[str, list[str]] = Field(default_factory=dict)
    columns: LabelledColumns

    @model_validator(mode="after")
    def _readable(self) -> Index:
        if self.columns.text is None:
            raise ValueError("columns.text is missing: name the column of the entries' texts")
        return self


def read_index(name: str) -> Index:
    return value(f"indexes.{name}", Index)
