"""Parquet files as others write them, read in batches, with the checks that the other formats have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.shared import files
from stages.shared.errors import UserError, first_line

ROWS_OF_BATCH = 50_000
# The way to a value: (translation, en) for the column translation.en.
Way = tuple[str, ...]


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """The file as pyarrow reads it. Raises `UserError` if it is not whole, names a column twice or has rows that are
    longer than `files.LONGEST_LINE` on average: what one batch holds at the least."""
    import polars as pl
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            _check(path, file)
            yield file
    # Damage that the format does not see shows where values are taken.
    except (OSError, UnicodeDecodeError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): is it a whole Parquet file?") from None


def rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place, `file:row`."""
    number = 0
    with opened(path) as file:
        for batch in file.iter_batches(ROWS_OF_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", row


def ways(fields: Any, before: Way = ()) -> Iterator[Way]:
    """The ways to the values of an Arrow schema, or of a struct's type."""
    import pyarrow as pa

    for field in fields:
        yield (*before, field.name)
        if pa.types.is_struct(field.type):
            yield from ways(field.type, (*before, field.name))


def _check(path: str | Path, file: Any) -> None:
    seen: set[Way] = set()
    for way in ways(file.schema_arrow):
        if way in seen:
            raise UserError(f"{path} has the column {'.'.join(way)!r} more than once: rename or remove one")
        seen.add(way)
    for at in range(file.num_row_groups):
        group = file.metadata.row_group(at)
        if group.total_byte_size > files.LONGEST_LINE * max(1, group.num_rows):
            raise UserError(f"{path} has rows longer than {files.bound()}, the most that a row may be: {files.SPLIT}")
