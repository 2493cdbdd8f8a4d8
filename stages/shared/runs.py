"""The runs of whatever is measured, as `retrieve`, `references`, `fusions` and `rerank` wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from stages.schemas.runs import FUSED_FOLDER, RERANKED_FOLDER, RUN, RUN_RECORD, RUNS_FOLDER
from stages.shared import tables
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME


def run(row: str, benchmark: str) -> pl.DataFrame:
    """The run (RUN) of a model, a reference, a fusion or a re-ranker; raises `UserError` if it is missing."""
    return _read(row, f"{benchmark}.run.parquet")


def relevant(row: str, benchmark: str) -> pl.DataFrame:
    """The ranks of the relevant passages in the pooled tasks (RUN); without rows if they are not known."""
    return _read(row, f"{benchmark}.relevant.parquet")


def records(references: list[str], fusions: list[str], reranked: list[str]) -> dict[str, dict[str, Any]]:
    """How each reference, fusion and re-ranked row was run, and, if passages were read in windows, how the base was;
    raises `UserError` if it is not known."""
    fused = _record(FUSED_FOLDER)
    windowed = (RUNS_FOLDER / BASE_NAME / RUN_RECORD).is_file()
    return {
        **({BASE_NAME: _record(RUNS_FOLDER / BASE_NAME)} if windowed else {}),
        **{name: _record(RUNS_FOLDER / name) for name in references},
        **{name: fused[name] for name in fusions},
        **{name: _record(RERANKED_FOLDER / name) for name in reranked},
    }


def _record(folder: Path) -> dict[str, Any]:
    file = folder / RUN_RECORD
    if not file.is_file():
        raise UserError(f"{file} is missing: run `dvc repro`")
    found: dict[str, Any] = tables.read_json(file)
    return found


def _read(row: str, file: str) -> pl.DataFrame:
    found = [folder / row for folder in (RUNS_FOLDER, FUSED_FOLDER, RERANKED_FOLDER) if (folder / row).is_dir()]
    if len(found) > 1:
        raise UserError(
            f"{found[0]} and {found[1]} are both there, one of them of another study: run `python -m tools.tidy`"
        )
    return tables.read((found or [RUNS_FOLDER / row])[0] / file, RUN)
