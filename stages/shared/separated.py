"""Comma- and tab-separated files, compressed or not, read row by row with one set of checks for all that read them: a
row that is cut short, torn in two or swallowed by a quotation mark is told, and never a text that nobody wrote."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from stages.shared import files
from stages.shared.errors import UserError

DELIMITERS = ",;\t|"


def numbered(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row by the names in the header, with the line that it begins at; rows without anything in them are skipped.

    The delimiter of .csv is what the header has most of, or what a first line `sep=;` says, as spreadsheets write it;
    of .tsv it is the tab. Raises `UserError` if the file or a row cannot be read.
    """
    path = Path(path)
    tabs = files.plain_name(path).endswith(".tsv")
    names: list[str] = []
    for line, row in _parsed(path, encoding, tabs):
        if not names:
            names = [_unquoted(name) for name in row] if tabs else row
            if again := next((name for name in names if name and names.count(name) > 1), None):
                raise UserError(f"{path}:{line} has the column {again!r} more than once: rename or remove one")
        elif len(row) == len(names):
            yield line, dict(zip(names, map(_unquoted, row) if tabs else row, strict=True))
        else:
            raise UserError(
                f"{path}:{line} has {len(row)} fields, but the header {len(names)}: mend the row's delimiters and "
                "quotation marks"
            )


def rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same with each row's place, `file:line`."""
    for line, row in numbered(path):
        yield f"{path}:{line}", row


def fields(path: str | Path, tabs: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Each row's fields with its place, of files whose first row need not be a header, and whose readers know how many
    fields a row must have. Quotation marks are text where tabs part them."""
    path = Path(path)
    for line, row in _parsed(path, "utf-8", tabs):
        yield f"{path}:{line}", row


def _parsed(path: Path, encoding: str, tabs: bool) -> Iterator[tuple[int, list[str]]]:
    lines = files.lines(path, encoding)
    delimiter, begun = "\t", 0
    if not tabs:
        first = next(lines, "")
        if said := re.fullmatch(r'"?sep=(.)"?\s*', first):
            delimiter, begun = said[1], 1
        else:
            delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
            lines = chain([first], lines)
    csv.field_size_limit(files.LONGEST_LINE)
    # A field of tab-separated values may begin with a quotation mark that nothing closes.
    reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL, strict=True)
    line = begun + 1
    try:
        for row in reader:
            if any(row):
                yield line, row
            line = begun + reader.line_num + 1
    except csv.Error as error:
        if "field larger" in str(error):
            raise UserError(
                f"{path}:{line} has a field longer than {files.bound()}: mend its quotation marks, or split it"
            ) from None
        raise UserError(f"{path}:{line} is no row of CSV ({error}): mend its quotation marks and line ends") from None


def _unquoted(field: str) -> str:
    """A field without the quotation marks that a spreadsheet has put around it."""
    inner = field[1:-1]
    quoted = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else field
