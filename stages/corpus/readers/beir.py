"""Retrieval sets as sources: folders in the layouts that `stages.shared.beir` reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from stages.corpus.batches import Batch, schema
from stages.corpus.readers.rows import ROWS
from stages.settings.corpus import Source
from stages.shared import beir
from stages.shared.codes import Wanted


def read_beir(source: Source, wanted: Wanted) -> Iterator[Batch]:
    """A row a passage, with its id."""
    languages = wanted.languages
    passages, _, _ = beir.read(source.path, wanted)
    rows = passages.select(id="passage").unique(maintain_order=True).with_row_index("line", offset=1)
    for lang in languages:
        texts = passages.filter(lang=lang).select("passage", "title", "text")
        texts = texts.rename({"passage": "id", "title": f"title_{lang}", "text": f"text_{lang}"})
        rows = rows.join(texts, on="id", how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("line").cast(pl.UInt64), stratum=pl.lit(None, pl.String)).select(*schema(languages))
    for batch in rows.iter_slices(ROWS):
        yield Batch(source.path, batch)


def judged(source: Source, wanted: Wanted, left_out: Counter[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Queries (QUERIES) and qrels (QRELS) of the folder: what is relevant in one language is so in all of them.
    Judgements of texts that are not there are counted in `left_out`."""
    _, asked, qrels = beir.read(source.path, wanted, left_out=left_out)
    qrels = qrels.group_by("query", "passage").agg(pl.col("relevance").max())
    return asked.sort("query", "lang"), qrels.sort("query", "passage")
