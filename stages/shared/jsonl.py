"""JSON Lines, compressed or not, read row by row; a bad row is named by file and line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.shared import files
from stages.shared.errors import UserError


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ: which of two texts under one key is meant nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it has the key {next(key for key in keys if keys.count(key) > 1)!r} more than once")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_once)


def numbered(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row with its line's number; raises `UserError` if the file or a row cannot be read."""
    for number, line in enumerate(files.lines(path, encoding), 1):
        if not line.strip():
            continue
        try:
            row = DECODER.decode(line.strip())
        except ValueError as error:
            reason = getattr(error, "msg", error)
            raise UserError(f"{path}:{number} is not JSON ({reason}): mend or remove the line") from None
        except RecursionError:
            raise UserError(f"{path}:{number} is nested too deeply: mend or remove the line") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number} is no JSON object: write a row as {{...}}")
        yield number, row


def rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row with its place, `file:line`; raises `UserError` likewise."""
    for number, row in numbered(path):
        yield f"{path}:{number}", row


def field(row: dict[str, Any], key: str, place: str) -> Any:
    """What the row has under `key`; raises `UserError` if it has no such key."""
    if key not in row:
        raise UserError(f"{place} has no {key!r} (it has {', '.join(map(repr, row))}): name its column in params.yaml")
    return row[key]


def text(row: dict[str, Any], key: str, place: str) -> str:
    """The text under `key`, stripped; '' for null; raises `UserError` if the row has no such key or no text."""
    value = field(row, key, place)
    if value is None:
        return ""
    if not isinstance(value, str | int):
        raise UserError(f"{place}: {key!r} holds {value!r}, not a text: mend the row")
    return " ".join(str(value).split())
