"""The typed tables through which stages meet: checked reads and atomic writes.

Rows are sorted by the writer, or in the order of the source (`corpus`), so that equal content is equal bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from stages.schemas.types import Schema
from stages.shared import errors
from stages.shared.errors import UserError


def read(path: str | Path, schema: Schema) -> pl.DataFrame:
    """Read a Parquet table; raises `UserError` if it is missing or its columns are not those of `schema`."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} is missing: run `dvc repro`")
    table = pl.read_parquet(path, glob=False)
    return _checked(table, schema, path)


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
    """Yield a draft path beside `path`; if the block ends well the draft (file or folder) takes its place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        if path.is_dir():
            shutil.rmtree(path)
        draft.replace(path)
    except Exception as error:
        error.add_note(str(path))  # where the error itself does not say
        raise
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink(missing_ok=True)


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
