"""Rows of the files that data sets are published in: JSON Lines, Parquet, tab- or comma-separated."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from stages.shared import files, jsonl
from stages.shared.errors import UserError

ROWS_AT_ONCE = 50_000


def rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place, `file:line` (of Parquet `file:row`). Separated files have their columns' names in the
    first line. Raises `UserError` if the file or a row cannot be read."""
    path = Path(path)
    suffix = Path(files.plain_name(path)).suffix
    if suffix == ".parquet":
        yield from _parquet(path)
    elif suffix in (".tsv", ".csv"):
        lines = separated(path, "\t" if suffix == ".tsv" else ",")
        _, names = next(lines, ("", []))
        yield from ((place, dict(zip(names, fields, strict=False))) for place, fields in lines)
    else:
        yield from jsonl.rows(path)


def separated(path: str | Path, delimiter: str = "\t") -> Iterator[tuple[str, list[str]]]:
    """Each line's fields with its place, without empty lines. In tab-separated files quotation marks are text."""
    csv.field_size_limit(sys.maxsize)  # a text may be as long as it likes
    reader = csv.reader(
        files.lines(path), delimiter=delimiter, quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    )
    try:
        for fields in reader:
            if any(fields):
                yield f"{path}:{reader.line_num}", fields
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num} cannot be read ({error}): mend or remove the line") from None


def frame(found: Iterable[tuple[Any, ...]], schema: dict[str, Any]) -> pl.DataFrame:
    """A table of many rows, of which few are Python's at any time."""
    found = iter(found)
    parts = [pl.DataFrame(schema=schema)]
    while part := list(islice(found, ROWS_AT_ONCE)):
        parts.append(pl.DataFrame(part, schema=schema, orient="row"))
    return pl.concat(parts)


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", row
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}): is it whole?") from None
