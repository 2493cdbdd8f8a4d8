"""Sets in the layout of SQuAD as sources: a row a paragraph, and their questions as its queries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from stages.corpus.batches import Batch, Notes, schema
from stages.corpus.readers import paths
from stages.corpus.readers.rows import ROWS
from stages.settings.corpus import Source
from stages.shared import squad
from stages.shared.codes import Wanted


def read_squad(source: Source, wanted: Wanted, notes: Notes) -> Iterator[Batch]:
    """A row a paragraph, with its article's title."""
    languages = wanted.languages
    passages, _, _, unanswerable = squad.read(_files(source, wanted))
    notes.left_out[squad.UNANSWERABLE] += unanswerable
    rows = passages.select(id="passage").unique(maintain_order=True).with_row_index("line", offset=1)
    for lang in languages:
        texts = passages.filter(lang=lang).unique("passage", keep="first", maintain_order=True)
        texts = texts.select(pl.col("title").alias(f"title_{lang}"), pl.col("text").alias(f"text_{lang}"), id="passage")
        rows = rows.join(texts, on="id", how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("line").cast(pl.UInt64), stratum=pl.lit(None, pl.String)).select(*schema(languages))
    for batch in rows.iter_slices(ROWS):
        yield Batch(source.path, batch)


def judged_squad(source: Source, wanted: Wanted) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Queries (QUERIES) and qrels (QRELS) of the set."""
    _, asked, answers, _ = squad.read(_files(source, wanted))
    qrels = answers.select("query", "passage", "relevance").unique().sort("query", "passage")
    return asked.sort("query", "lang"), qrels


def _files(source: Source, wanted: Wanted) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {lang: [] for lang in wanted.languages}
    for _, own in paths.by_language(source, wanted):
        for lang, path in own.items():
            found[lang].append(path)
    return found
