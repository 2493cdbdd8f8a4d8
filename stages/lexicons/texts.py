"""Parallel texts: those of the training split, or of files in JSON Lines."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.collected import COLLECTED_FOLDER
from stages.settings.lexicons import Lexicon
from stages.shared import jsonl, sentences, training_texts
from stages.shared.errors import UserError

JSON_LINES = ("*.jsonl", "*.jsonl.*")


def parallel(lexicon: Lexicon, source: str, target: str) -> list[tuple[str, str]]:
    """Texts of `source` with their translations into `target`, sentence by sentence where both have as many."""
    own = Path(lexicon.path) == COLLECTED_FOLDER
    found: list[tuple[str, str]] = []
    for text, translation in _collected(source, target) if own else _given(lexicon, source, target):
        parts, theirs = sentences.split(text), sentences.split(translation)
        found += zip(parts, theirs, strict=True) if len(parts) == len(theirs) else [(text, translation)]
    return found


def titles(source: str, target: str) -> list[tuple[str, str]]:
    """The titles of the training split's passages, with their translations."""
    return _together(training_texts.passages(), "passage", "title", source, target)


def _collected(source: str, target: str) -> list[tuple[str, str]]:
    read = _together(training_texts.passages(), "passage", "text", source, target)
    asked = _together(training_texts.queries(), "query", "text", source, target)
    return [*titles(source, target), *read, *asked]


def _together(table: pl.DataFrame, group: str, column: str, source: str, target: str) -> list[tuple[str, str]]:
    both = table.filter(lang=source).join(table.filter(lang=target), on=group, suffix=" of target").sort(group)
    return list(both.select(column, f"{column} of target").iter_rows())


def _given(lexicon: Lexicon, source: str, target: str) -> list[tuple[str, str]]:
    path = Path(lexicon.path)
    files = [path] if path.is_file() else sorted({file for ending in JSON_LINES for file in path.rglob(ending)})
    if not files:
        raise UserError(f"{path} holds no parallel texts: name a file or folder of JSON Lines (.jsonl)")
    columns = [lexicon.text.replace("{lang}", lang) for lang in (source, target)]
    return [
        (jsonl.text(row, columns[0], place), jsonl.text(row, columns[1], place))
        for file in files
        for place, row in jsonl.rows(file)
        if all(column in row for column in columns)  # others are of other languages
    ]
