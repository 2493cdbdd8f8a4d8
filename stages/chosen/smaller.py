"""A static model made smaller: fewer dimensions, and a table of one byte a number.

Dimensions are the leading ones of the table after a rotation: the right singular vectors of its rows, onto which the
rows' inner products are kept best (Eckart and Young 1936, doi:10.1007/BF02288367). In int8 all numbers are divided by
one scale, which cosines do not see, so that it need not be kept.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from stages.shared import models, tables
from stages.shared.errors import UserError

STATIC_TABLE = "embedding.weight"


def export(folder: Path, target: Path, dimensions: int | None, int8: bool) -> None:
    """Write the static model in `folder` to `target`, with so many dimensions (None: all), in int8 or as it is; raises
    `UserError` if it has no more."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(folder, target, copy_function=shutil.copyfile)  # a file of DVC's cache cannot be written
    inner = target / tables.read_json(target / "modules.json")[0]["path"] / "model.safetensors"
    table = load_file(inner)[STATIC_TABLE].astype(np.float32)
    if dimensions is not None:
        table = projected(table, dimensions)
        tables.write_json(models.record(folder) | {"dimension": dimensions}, target / models.RECORD)
    save_file({STATIC_TABLE: quantised(table) if int8 else table}, inner)


def projected(table: np.ndarray, dimensions: int) -> np.ndarray:
    """The rows of `table`, float32 of shape [pieces, dimension], on the `dimensions` directions that keep most of their
    inner products."""
    if dimensions >= table.shape[1]:
        raise UserError(f"chosen.dimensions is {dimensions}, but the model has {table.shape[1]}: write fewer, or null")
    # Of the small Gram matrix: ascending eigenvalues, each vector in a column.
    _, directions = np.linalg.eigh(table.T.astype(np.float64) @ table)
    return np.ascontiguousarray(table @ directions[:, ::-1][:, :dimensions], dtype=np.float32)


def quantised(table: np.ndarray) -> np.ndarray:
    """`table` in int8, its greatest number 127."""
    return np.round(table * (127 / max(float(np.abs(table).max()), 1e-12))).astype(np.int8)
