"""Indexes as they are answered from: read whole, and only with the model that they were made with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import polars as pl

from stages.index import store
from stages.shared import files, models, tables
from stages.shared.errors import UserError
from stages.shared.search import Documents, PassageVectors
from stages.shared.state import STATE

# Bytes of a model from which its digest is remembered; fewer are read in 50 ms.
LARGE = 2**25
# Nanoseconds: clocks of file systems tick slowly, and what changed just now could change again within the same tick.
TICKS = 2e9


class LoadedIndex(NamedTuple):
    entries: pl.DataFrame  # of the stage `index`, store.INDEX_ENTRIES
    vectors: PassageVectors  # float32, shape [entries, dimension], or of several windows an entry
    manifest: dict[str, Any]


def load(folder: Path, model: Path) -> LoadedIndex:
    """The index in `folder`; raises `UserError` if it is not whole, of another format, or made with another model than
    the one that is in the folder `model` now."""
    again = f"run `dvc repro index@{folder.name}`"
    manifest = _manifest(folder)
    if manifest["format"] != store.INDEX_FORMAT:
        raise UserError(f"{folder} has the format {manifest['format']}, this code reads {store.INDEX_FORMAT}: {again}")
    if manifest.get("model_digest") != digest(model):
        made = manifest.get("model")
        changed = "before it changed" if made == str(model) else f"but that of {made}"
        raise UserError(f"{folder} is not an index of the model in {model}, {changed}: {again}")
    try:
        if files.content(folder / "entries.parquet") != manifest["entries_digest"]:
            raise ValueError("entries.parquet")
        entries = tables.read(folder / "entries.parquet", store.INDEX_ENTRIES)
        index = faiss.read_index(str(folder / "index.faiss"))
        counts = _windows(folder, manifest)
        rows = entries.height if counts is None else counts.sum()
        if (index.ntotal, index.d) != (rows, manifest["dimension"]):
            raise ValueError("index.faiss")
        held = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)  # type: ignore[attr-defined]
        own = held.reshape(index.ntotal, index.d).copy()  # faiss frees its own with the index
        vectors: PassageVectors = own if counts is None else Documents(own, counts.to_numpy(), manifest["best"])
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError):
        raise UserError(f"{folder} is not whole: {again}") from None
    return LoadedIndex(entries, vectors, manifest)


def _windows(folder: Path, manifest: dict[str, Any]) -> pl.Series | None:
    """How many windows each entry has; None: all have one. Raises ValueError if that is not what was written."""
    if "windows_digest" not in manifest:
        return None
    if files.content(folder / "windows.parquet") != manifest["windows_digest"]:
        raise ValueError("windows.parquet")
    return tables.read(folder / "windows.parquet", store.INDEX_WINDOWS)["windows"]


def find(model: Path) -> Path:
    """The folder of the one index of the model in the folder `model`; raises `UserError` if there are none or more."""
    folders = [file.parent for file in sorted(models.INDEXES.glob("*/manifest.json"))]
    found = [folder for folder in folders if Path(_manifest(folder)["model"]).resolve() == model.resolve()]
    if not found:
        raise UserError(f"{model} has no index: add indexes.<name> to params.yaml and run `dvc repro index@<name>`")
    if len(found) > 1:
        raise UserError(f"{model} has the indexes {', '.join(map(str, found))}: name one of them with --index")
    return found[0]


def digest(model: Path) -> str:
    """A digest of the files of a model.

    Reading gigabytes takes seconds, so of a large model it is remembered beside what the system says of its files:
    name, size, inode, and when content and inode last changed. No exchange of a file leaves all of them as they were,
    since the last cannot be set.
    """
    if not (model / "modules.json").is_file():
        raise UserError(f"{model} holds no model (modules.json is missing): run `dvc repro`, or mend the name")
    stats = {str(f.relative_to(model)): f.stat() for f in sorted(model.rglob("*")) if f.is_file()}
    # Outside a checkout that has the folder nothing is remembered.
    if sum(s.st_size for s in stats.values()) < LARGE or not STATE.is_dir():
        return files.content(model)
    seen = {name: [s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns] for name, s in stats.items()}
    memory = STATE / "digests" / f"{hashlib.blake2b(str(model.resolve()).encode(), digest_size=16).hexdigest()}.json"
    try:
        held = json.loads(memory.read_text(encoding="utf-8"))
        if held["files"] == seen:
            return str(held["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = files.content(model)
    if time.time_ns() - max(s.st_ctime_ns for s in stats.values()) > TICKS:
        with contextlib.suppress(OSError):
            tables.write_json({"files": seen, "digest": found}, memory)
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    again = f"run `dvc repro index@{folder.name}`"
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if isinstance(manifest["model"], str) and "format" in manifest:
            return manifest
    except FileNotFoundError:
        raise UserError(f"{folder} holds no index (manifest.json is missing): {again}") from None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{folder} is not whole: {again}")
