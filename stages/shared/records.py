"""Rows of the files that data sets are published in: JSON Lines, Parquet, tab- or comma-separated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from stages.shared import files, jsonl, parquet, separated

ROWS_AT_ONCE = 50_000


def rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place, `file:line` (of Parquet `file:row`). Separated files have their columns' names in the
    first line. Raises `UserError` if the file or a row cannot be read."""
    path = Path(path)
    suffix = Path(files.plain_name(path)).suffix
    if suffix == ".parquet":
        yield from parquet.rows(path)
    elif suffix in (".tsv", ".csv"):
        yield from separated.rows(path)
    else:
        yield from jsonl.rows(path)


def frame(found: Iterable[tuple[Any, ...]], schema: dict[str, Any]) -> pl.DataFrame:
    """A table of many rows, of which few are Python's at any time."""
    found = iter(found)
    parts = [pl.DataFrame(schema=schema)]
    while part := list(islice(found, ROWS_AT_ONCE)):
        parts.append(pl.DataFrame(part, schema=schema, orient="row"))
    return pl.concat(parts)
