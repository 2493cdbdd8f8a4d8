"""The index of a knowledge base: its labelled entries and their vectors, made for one model, in a folder.

`entries.parquet` (INDEX_ENTRIES) and `index.faiss` (exact inner product) have the same rows; `manifest.json` says of
which model and which entries they are. An index answers with the model it was made with, or not at all: another one's
vectors would give nonsense that looks like answers.
"""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import polars as pl

from stages.shared import files, tables

# Of the folder's layout.
INDEX_FORMAT = 1
INDEX_ENTRIES: tables.Schema = {"entry": pl.String, "label": pl.String, "text": pl.String}


def save(folder: Path, entries: pl.DataFrame, vectors: np.ndarray, model: str, digest: str, path: str) -> None:
    """Write an index: of `entries` read from `path`, encoded by the model in the folder `model`, whose digest is
    `digest`."""
    with tables.replacing(folder) as draft:
        tables.write(entries, draft / "entries.parquet", INDEX_ENTRIES)
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, str(draft / "index.faiss"))
        manifest = {
            "format": INDEX_FORMAT,
            "model": model,
            "model_digest": digest,
            "path": path,
            "entries_digest": files.content(draft / "entries.parquet"),
            "entries": entries.height,
            "labels": entries["label"].n_unique(),
            "dimension": vectors.shape[1],
        }
        tables.write_json(manifest, draft / "manifest.json")
