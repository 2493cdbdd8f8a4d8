"""Folders that are kept outside DVC's outputs, sealed: their digests say whether each file is as it was written."""

from __future__ import annotations

import json
from pathlib import Path

from stages.shared import files, tables

SEAL = "digests.json"


def seal(folder: Path) -> None:
    """Write into `folder` the digests of all its files, {name: digest}; it is whole from then on."""
    tables.write_json(_digests(folder), folder / SEAL)


def broken(folder: Path) -> str | None:
    """The first file of `folder` that is not as it was when that was sealed, or the seal; None: all are whole."""
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return SEAL
    found = _digests(folder)
    if not isinstance(sealed, dict):
        return SEAL
    return next((name for name in sorted(found | sealed) if found.get(name) != sealed.get(name)), None)


def _digests(folder: Path) -> dict[str, str]:
    names = (str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return {name: files.content(folder / name) for name in sorted(names) if name != SEAL}
