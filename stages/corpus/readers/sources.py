"""Any source as batches of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from stages.corpus.batches import Batch
from stages.corpus.readers import beir, localised, markdown, memories, resources, squad, tabular
from stages.settings.corpus import Source


def batches(source: Source, languages: list[str], dropped: Counter[str]) -> Iterator[Batch]:
    """Batches of the rows of `source`, each read when it is asked for; what never becomes a row is counted in
    `dropped` by its reason, which completes "left out: 12 ...".

    Rows without an id of their own are named by file and number. Raises `UserError` naming file and line for what
    cannot be read.
    """
    match source.source:
        case "jsonl":
            return tabular.read_jsonl(source, languages)
        case "csv":
            return tabular.read_csv(source, languages)
        case "parquet":
            return tabular.read_parquet(source, languages)
        case "datasets":
            return tabular.read_datasets(source, languages)
        case "tmx":
            return memories.read_tmx(source, languages)
        case "moses":
            return memories.read_moses(source, languages)
        case "po":
            return localised.read_po(source, languages, dropped)
        case "xliff":
            return localised.read_xliff(source, languages, dropped)
        case "markdown":
            return markdown.read_markdown(source, languages, dropped)
        case "beir":
            return beir.read_beir(source, languages)
        case "resources":
            return resources.read_resources(source, languages)
        case "squad":
            return squad.read_squad(source, languages, dropped)


def judged(source: Source, languages: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Queries (QUERIES) and qrels (QRELS) of a source that has some: one of `JUDGED_SOURCES`."""
    return squad.judged_squad(source, languages) if source.source == "squad" else beir.judged(source, languages)
