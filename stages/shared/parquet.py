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
        for batch in batches(path, file, ROWS_OF_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", row


def batches(path: str | Path, file: Any, size: int, columns: list[str] | None = None) -> Iterator[Any]:
    """Record batches of at most `size` rows of the opened `file`. Raises `UserError` for a value that is longer than
    `files.LONGEST_LINE`, which among many short ones no average shows."""
    import pyarrow.compute as pc

    first = 1
    for batch in file.iter_batches(size, columns=columns):
        # Only where all of its values together are long can one of them be.
        if batch.nbytes > files.LONGEST_LINE:
            for values in _texts(batch.columns):
                if (pc.max(pc.binary_length(values)).as_py() or 0) > files.LONGEST_LINE:
                    rows = f"{path} has within rows {first:,} to {first + batch.num_rows - 1:,}"
                    raise UserError(f"{rows} a value longer than {files.bound()}: {files.SPLIT}")
        yield batch
        first += batch.num_rows


def _texts(arrays: Any) -> Iterator[Any]:
    """The arrays of text or bytes among `arrays`, and within their structs."""
    import pyarrow as pa

    for array in arrays:
        if pa.types.is_struct(array.type):
            yield from _texts(array.flatten())
        elif any(of(array.type) for of in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
            yield array


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
