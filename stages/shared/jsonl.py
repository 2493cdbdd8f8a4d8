"""JSON Lines, plain or gzipped, read row by row; a bad row is named by file and line."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.shared.errors import UserError


def rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row with its place, `file:line`; raises `UserError` if the file or a row cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not there: check the path in params.yaml")
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                place = f"{path}:{number}"
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise UserError(f"{place} is not JSON ({error.msg}): mend or remove the line") from None
                if not isinstance(row, dict):
                    raise UserError(f"{place} is no JSON object: write a row as {{...}}")
                yield place, row
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8") from None
    except (OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read ({error}): is it whole?") from None


def text(row: dict[str, Any], key: str, place: str) -> str:
    """The text under `key`, stripped; '' for null; raises `UserError` if the row has no such key or no text."""
    if key not in row:
        raise UserError(f"{place} has no {key!r} (it has {', '.join(map(repr, row))}): name its column in params.yaml")
    value = row[key]
    if value is None:
        return ""
    if not isinstance(value, str | int):
        raise UserError(f"{place}: {key!r} holds {value!r}, not a text: mend the row")
    return " ".join(str(value).split())
