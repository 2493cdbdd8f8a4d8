"""What readers give and the pipeline takes: a source's rows, some ten thousands at a time."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import polars as pl


class Batch(NamedTuple):
    """Rows as a source has them, uncleaned.

    `rows` has the columns line (UInt64: the row's 1-based line, row or unit number in `file`), id and stratum, and
    title_<lang> and text_<lang> for each language: String, null where the source has none.
    """

    file: str  # as a user would name it: a path, or a hub id
    rows: pl.DataFrame


class Notes(NamedTuple):
    """What a reader leaves out or changes, counted by what completes "left out: 12 ..." and "noted: 12 ..."."""

    left_out: Counter[str]
    noted: Counter[str]


def schema(languages: list[str]) -> dict[str, pl.DataType]:
    """The columns of `Batch.rows`, in order."""
    texts = [f"{kind}_{lang}" for kind in ("title", "text") for lang in languages]
    return {"line": pl.UInt64()} | dict.fromkeys(["id", "stratum", *texts], pl.String())
