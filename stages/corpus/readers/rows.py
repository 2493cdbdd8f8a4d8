"""Rows of texts to batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from stages.corpus.batches import Batch, schema

# A batch ends after so many rows, or sooner after so many characters: rows of a megabyte stay in bounds too.
ROWS = 20_000
CHARS = 50_000_000


def batched(file: str, rows: Iterable[tuple[Any, ...]], languages: list[str]) -> Iterator[Batch]:
    """Batches of rows that are tuples in the order of `batches.schema`."""
    held: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += sum(len(cell) for cell in row[1:] if cell)
        if len(held) == ROWS or size >= CHARS:
            yield Batch(file, _frame(held, languages))
            held, size = [], 0
    if held:
        yield Batch(file, _frame(held, languages))


def _frame(rows: list[tuple[Any, ...]], languages: list[str]) -> pl.DataFrame:
    try:
        return pl.DataFrame(rows, schema=schema(languages), orient="row")
    except UnicodeEncodeError:
        # JSON can hold one half of a character that UTF-16 writes in two, as where a text was cut; UTF-8 cannot.
        return pl.DataFrame([tuple(map(_whole, row)) for row in rows], schema=schema(languages), orient="row")


def _whole(cell: Any) -> Any:
    return cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(cell, str) else cell
