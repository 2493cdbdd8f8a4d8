"""The stage's tables, written piece by piece, and what is counted on the way."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from types import TracebackType

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from stages.schemas.texts import PASSAGES, QRELS, QUERIES
from stages.shared import split
from stages.shared.sentences import BLOCK_END

SCHEMAS = {"passages": PASSAGES, "queries": QUERIES, "qrels": QRELS}


class Output:
    """`passages`, `queries` and `qrels` in a folder; each piece becomes a row group.

    `splits`: passages by (language, split); `lengths`: passages by language and number of characters; `queries`:
    queries by language.
    """

    def __init__(self, folder: Path) -> None:
        self._writers = {
            name: pq.ParquetWriter(
                folder / f"{name}.parquet",
                pl.DataFrame(schema=schema).to_arrow().schema,
                compression="zstd",
                write_statistics=False,
            )
            for name, schema in SCHEMAS.items()
        }
        self.splits: Counter[tuple[str, str]] = Counter()
        self.lengths: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.queries: Counter[str] = Counter()

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, name: str, table: pl.DataFrame) -> None:
        if "text" in table.columns:
            table = table.with_columns(pl.col("text").str.replace_all(BLOCK_END, " ", literal=True))
        self._writers[name].write_table(table.select(*SCHEMAS[name]).to_arrow())
        if name == "queries":
            self.queries.update(dict(table["lang"].value_counts().iter_rows()))
        if name == "passages":
            for lang, part, count in table.group_by("lang", "split").len().iter_rows():
                self.splits[lang, part] += count
            for lang, length, count in table.group_by("lang", pl.col("text").str.len_chars()).len().iter_rows():
                self.lengths[lang][length] += count


def long(rows: pl.DataFrame, splits: np.ndarray, languages: list[str]) -> pl.DataFrame:
    """Rows of `spool.Spool` and their splits' numbers as PASSAGES, a row's languages one after the other."""
    names = split.named(splits)
    each = [
        rows.select(
            passage="id", lang=pl.lit(lang), title=f"title_{lang}", text=f"text_{lang}", stratum="stratum", split=names
        )
        for lang in languages
    ]
    order = np.arange(rows.height)[:, None] + rows.height * np.arange(len(languages))
    return pl.concat(each)[order.ravel()]


def spread(lengths: Counter[int]) -> dict[str, int]:
    """The median of lengths that are counted, what 95 in 100 do not exceed, and the greatest; 0 if there are none."""
    values = sorted(lengths) or [0]
    ends = np.cumsum([lengths[value] for value in values])
    median, most = (values[int(np.searchsorted(ends, part * ends[-1]))] for part in (0.5, 0.95))
    return {"median": median, "p95": most, "max": values[-1]}
