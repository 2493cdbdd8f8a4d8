"""The typed tables through which stages meet: checked reads and atomic writes.

Rows are sorted by the writer, or in the order of the source (`corpus`), so that equal content is equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from stages.schemas.types import Schema
from stages.shared import drafts, errors
from stages.shared.errors import UserError


def read(path: str | Path, schema: Schema) -> pl.DataFrame:
    """Read a Parquet table; raises `UserError` if it is missing, damaged, or its columns are not those of `schema`."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} is missing: run `dvc repro`")
    try:
        table = pl.read_parquet(path, glob=False)
    # Of bytes that cannot be, polars panics.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        if errors.fault(error):
            raise
        raise _damaged(path, error) from None
    return _checked(table, schema, path)


def read_json(path: str | Path) -> Any:
    """What a stage has written as JSON; raises `UserError` if it is missing or damaged."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run `dvc repro`") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: BaseException) -> UserError:
    return UserError(
        f"{path} is damaged or cut off ({errors.first_line(error)}): run `dvc repro`, which makes it again"
    )


def write(table: pl.DataFrame, path: str | Path, schema: Schema) -> None:
    """Write a Parquet table whole or not at all; raises `UserError` if it does not fit `schema`."""
    path = Path(path)
    with replacing(path) as draft:
        _write_parquet(_checked(table, schema, path), draft, path)


def write_json(value: Any, path: str | Path) -> None:
    """Write JSON with its innermost mappings on a line each: short to read in a diff."""
    write_text(_json(value) + "\n", path)


def write_text(text: str, path: str | Path) -> None:
    """Write UTF-8 whole or not at all."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield where a draft of `path`, a file or folder, may be written; if the block ends well it takes its place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with drafts.draft(path) as draft:
            yield draft
            drafts.put(draft, path)
    except UserError:
        raise
    except Exception as error:
        error.add_note(str(path))  # where the error itself does not say
        raise


def _write_parquet(table: pl.DataFrame, draft: Path, path: Path) -> None:
    try:
        table.write_parquet(draft, compression="zstd", statistics=False)
    except pl.exceptions.PolarsError as error:
        # Polars does not always pass on what the system says.
        if errors.fault(error):
            raise
        raise UserError(f"{path} cannot be written ({error}): is there room on its disk?") from None


def _checked(table: pl.DataFrame, schema: Schema, path: Path) -> pl.DataFrame:
    found = dict(table.schema)
    wanted = dict(pl.Schema(schema))
    if found != wanted:
        raise UserError(f"{path} has the columns {found}, but {wanted} are wanted: rebuild it with `dvc repro`")
    holes = [column for column, count in zip(table.columns, table.null_count().row(0), strict=True) if count]
    if holes:
        raise UserError(f"{path} lacks values in the column {holes[0]!r}: rebuild it with `dvc repro`")
    return table


def _json(value: Any, indent: int = 0) -> str:
    if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
        pad = " " * (indent + 2)
        rows = [f"{pad}{json.dumps(k, ensure_ascii=False)}: {_json(v, indent + 2)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
