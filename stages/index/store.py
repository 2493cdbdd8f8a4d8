"""The index of a knowledge base: its labelled entries and their vectors, made for one model, in a folder.

`entries.parquet` (INDEX_ENTRIES) and `index.faiss` (exact inner product) have the same rows, unless an entry is longer
than a window: then `windows.parquet` (INDEX_WINDOWS) says how many rows of `index.faiss` each entry has.
`manifest.json` says of which model and which entries they are, and of how many windows the mean is an entry's score.
An index answers with the model it was made with, or not at all: another one's vectors would give nonsense that looks
like answers.
"""

from __future__ import annotations

from pathlib import Path

import faiss
import polars as pl

from stages.shared import files, tables
from stages.shared.search import Documents, PassageVectors

# Of the folder's layout.
INDEX_FORMAT = 1
INDEX_ENTRIES: tables.Schema = {"entry": pl.String, "label": pl.String, "text": pl.String}
INDEX_WINDOWS: tables.Schema = {"windows": pl.UInt32}


def save(folder: Path, entries: pl.DataFrame, vectors: PassageVectors, model: str, digest: str, path: str) -> None:
    """Write an index: of `entries` read from `path`, encoded by the model in the folder `model`, whose digest is
    `digest`."""
    with tables.replacing(folder) as draft:
        tables.write(entries, draft / "entries.parquet", INDEX_ENTRIES)
        rows = vectors.vectors if isinstance(vectors, Documents) else vectors
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        faiss.write_index(index, str(draft / "index.faiss"))
        manifest = {
            "format": INDEX_FORMAT,
            "model": model,
            "model_digest": digest,
            "path": path,
            "entries_digest": files.content(draft / "entries.parquet"),
            "entries": entries.height,
            "labels": entries["label"].n_unique(),
            "dimension": rows.shape[1],
        }
        if isinstance(vectors, Documents):
            counts = pl.DataFrame({"windows": vectors.counts}, schema=INDEX_WINDOWS)
            tables.write(counts, draft / "windows.parquet", INDEX_WINDOWS)
            manifest |= {"best": vectors.best, "windows_digest": files.content(draft / "windows.parquet")}
        tables.write_json(manifest, draft / "manifest.json")
