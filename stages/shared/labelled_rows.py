"""Rows with a label: those of a knowledge base, of queries that belong to a label, and of labels with descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.settings.labelled_columns import LabelledColumns
from stages.shared import jsonl, records
from stages.shared.errors import UserError
from stages.shared.label_names import LABEL_SEPARATOR


class LabelledRow(NamedTuple):
    place: str  # file:line
    id: str
    label: str
    texts: dict[str, str]  # by the names asked for, those that are not empty
    description: str


def read(
    path: str | Path, rows: Mapping[str, list[str]], columns: LabelledColumns, texts: Mapping[str, str]
) -> Iterator[LabelledRow]:
    """Those of a JSON Lines, CSV, TSV or Parquet file; see `parse`. Raises `UserError` if it cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is no file: check the path in params.yaml")
    return parse(records.rows(path), path.name, rows, columns, texts)


def parse(
    found: Iterable[tuple[str, dict[str, Any]]],
    name: str,
    rows: Mapping[str, list[str]],
    columns: LabelledColumns,
    texts: Mapping[str, str],
) -> Iterator[LabelledRow]:
    """Those of the `found` rows (place, row) that have one of the values listed in each column of `rows`.

    `texts` says in which column a text is, by any name (a language); a row without an id gets `name` and its number.
    Raises `UserError` naming the place of a row without a label, or with half a character, which no table holds.
    """
    parts = [columns.label] if isinstance(columns.label, str) else columns.label
    for number, (place, row) in enumerate(found, 1):
        if any(str(row.get(column)) not in values for column, values in rows.items()):
            continue
        words = [jsonl.text(row, column, place).strip() for column in parts]
        if not all(words):
            raise UserError(f"{place}: the label is empty: name it or remove the row")
        said = {key: jsonl.text(row, column, place).strip() for key, column in texts.items() if column in row}
        one = LabelledRow(
            place,
            jsonl.text(row, columns.id, place) if columns.id else f"{name}#{number}",
            LABEL_SEPARATOR.join(words),
            {key: text for key, text in said.items() if text},
            jsonl.text(row, columns.description, place).strip() if columns.description else "",
        )
        try:
            "".join([one.id, one.label, *one.texts.values(), one.description]).encode()
        except UnicodeEncodeError:
            raise UserError(f"{place} holds half a character (a lone surrogate): mend the row") from None
        yield one
