"""Any source as batches of rows."""

from __future__ import annotations

from collections.abc import Iterator

from stages.corpus.batches import Batch, Notes
from stages.corpus.readers import beir, localised, markdown, memories, tabular
from stages.settings.corpus import Source
from stages.shared.codes import Wanted


def batches(source: Source, wanted: Wanted, notes: Notes) -> Iterator[Batch]:
    """Batches of the rows of `source`, each read when it is asked for; what never becomes a row and what is changed is
    counted in `notes`, and how languages are spelt in `wanted`.

    Rows without an id of their own are named by file and number. Raises `UserError` naming file and line for what
    cannot be read.
    """
    match source.source:
        case "jsonl":
            return tabular.read_jsonl(source, wanted)
        case "csv":
            return tabular.read_csv(source, wanted)
        case "parquet":
            return tabular.read_parquet(source, wanted)
        case "datasets":
            return tabular.read_datasets(source, wanted)
        case "tmx":
            return memories.read_tmx(source, wanted)
        case "moses":
            return memories.read_moses(source, wanted)
        case "po":
            return localised.read_po(source, wanted, notes)
        case "xliff":
            return localised.read_xliff(source, wanted, notes)
        case "markdown":
            return markdown.read_markdown(source, wanted, notes)
        case "beir":
            return beir.read_beir(source, wanted)
