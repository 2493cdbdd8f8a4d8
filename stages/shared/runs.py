"""The runs of whatever is measured, as `retrieve`, `references` and `fusions` wrote them."""

from __future__ import annotations

from typing import Any

import polars as pl

from stages.schemas.runs import FUSED_FOLDER, RUN, RUN_RECORD, RUNS_FOLDER
from stages.shared import tables
from stages.shared.errors import UserError


def run(row: str, benchmark: str) -> pl.DataFrame:
    """The run (RUN) of a model, reference or fusion; raises `UserError` if it is missing."""
    return _read(row, f"{benchmark}.run.parquet")


def relevant(row: str, benchmark: str) -> pl.DataFrame:
    """The ranks of the relevant passages in the pooled tasks (RUN); without rows if they are not known."""
    return _read(row, f"{benchmark}.relevant.parquet")


def records(references: list[str], fusions: list[str]) -> dict[str, dict[str, Any]]:
    """How each reference and fusion was run; raises `UserError` if it is not known."""
    files = [FUSED_FOLDER / RUN_RECORD, *(RUNS_FOLDER / name / RUN_RECORD for name in references)]
    if missing := [file for file in files if not file.is_file()]:
        raise UserError(f"{missing[0]} is missing: run `dvc repro`")
    fused, *found = map(tables.read_json, files)
    return dict(zip(references, found, strict=True)) | {name: fused[name] for name in fusions}


def _read(row: str, file: str) -> pl.DataFrame:
    fused = FUSED_FOLDER / row
    return tables.read((fused if fused.is_dir() else RUNS_FOLDER / row) / file, RUN)
