"""Candidates to be re-ranked: which passages are ranked for each query, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from stages.benchmarks.parts import by_language, of_language, one
from stages.schemas.benchmarks import RERANK
from stages.shared import files, jsonl, records
from stages.shared.codes import Wanted
from stages.shared.errors import UserError


def read(folder: Path, name: str, wanted: Wanted, queries: pl.DataFrame) -> pl.DataFrame:
    """The table RERANK of the file `name` beneath `folder`: a run of TREC (`query Q0 passage rank score tag`), a list
    of MS MARCO's (query and passage, then anything, tab-separated), or rows with `query-id` and `corpus-ids`, as MTEB
    has them. `{lang}` in the name stands for a language: a query's candidates are those of all of them."""
    if "{lang}" in name:
        before, after = (re.escape(part) for part in name.split("{lang}", 1))
        paths = by_language(folder, rf"{before}(?P<lang>[^/]+?){after}", wanted, name)
    else:
        paths = {"": [one(folder, re.escape(name), name)]}
    tables = []
    for lang, found in paths.items():
        table = records.frame((row for path in found for row in _rows(path)), RERANK)
        if lang and queries["query"].str.starts_with(of_language("", lang)).any():
            table = table.select(pl.concat_str(pl.lit(of_language("", lang)), name).alias(name) for name in RERANK)
        tables.append(table)
    return pl.concat(tables).unique().sort("query", "passage")


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    if files.plain_name(path).endswith((".jsonl", ".parquet")):
        for place, row in records.rows(path):
            query = jsonl.text(row, "query-id", place)
            for passage in row.get("corpus-ids") or ():
                yield query, str(passage)
        return
    for number, line in enumerate(files.lines(path), 1):
        fields = line.split("\t") if "\t" in line else line.split()
        if len(fields) < 2:
            if not fields:
                continue
            raise UserError(f"{path}:{number} is no candidate: write query and passage, or a run of TREC")
        trec = len(fields) == 6 and fields[1].upper() == "Q0"
        yield fields[0].strip(), fields[2 if trec else 1].strip()
