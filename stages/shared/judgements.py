"""Relevance judgements as files have them, whatever their layout."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import polars as pl

from stages.shared.errors import UserError

# Of trec_eval, which reads relevance as a whole number; 2.0 is one too, as Parquet and spreadsheets write it.
WHOLE = re.compile(r"([+-]?\d{1,9})(?:\.0+)?", re.ASCII)
# What stands for a number that is not known: a first line that ends in one is a judgement, and no header.
UNKNOWN = ("", "null", "none", "nan", "na", "n/a", "true", "false")
# Why judgements are left out.
NO_QUERY = "qrels of queries that are not there"
NO_PASSAGE = "qrels of passages that are not there"
CONTRADICTED = "qrels that a later one contradicts"
REASONS = (NO_QUERY, NO_PASSAGE, CONTRADICTED)


def relevance(value: Any, place: str) -> int:
    """The relevance that stands at `place`; raises `UserError` unless it is a whole number."""
    written = str(value).strip()
    if not (match := WHOLE.fullmatch(written)):
        raise UserError(
            f"{place} is no judgement: its relevance is {str(value)[:40]!r}, and trec_eval takes whole numbers alone: "
            "write 0 for what is not relevant, else 1, 2, ..."
        )
    return int(match[1])


def is_header(fields: list[str]) -> bool:
    """Whether a file's first line names its columns: the last is a word, and no number nor what stands for one."""
    last = fields[-1].strip().lower()
    return last not in UNKNOWN and not any(letter.isdigit() for letter in last)


def count_absent(lost: pl.DataFrame, queries: pl.DataFrame, left_out: Counter[str]) -> None:
    """Count in `left_out` the judgements `lost`, a row (with a column query) for each, since a text of theirs is not
    there: the query, if it is not among `queries`, else the passage."""
    of_queries = lost.join(queries, on="query", how="anti").height
    left_out[NO_QUERY] += of_queries
    left_out[NO_PASSAGE] += lost.height - of_queries


def last(judged: pl.DataFrame, keys: list[str], left_out: Counter[str]) -> pl.DataFrame:
    """`judged` with the last relevance of each of `keys`, as trec_eval's readers take it; others are counted."""
    differing = judged.group_by(keys).agg(pl.col("relevance").n_unique()).filter(pl.col("relevance") > 1)
    left_out[CONTRADICTED] += differing.select("query", "passage").n_unique()
    return judged.unique(keys, keep="last", maintain_order=True)
