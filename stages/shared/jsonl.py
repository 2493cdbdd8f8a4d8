"""JSON Lines and arrays of objects, compressed or not, read row by row; a bad row is named by file and line."""

import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from stages.shared import files
from stages.shared.errors import UserError

BETWEEN = re.compile(r"[\s,]*")  # two elements of an array


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ: which of two texts under one key is meant nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it has the key {next(key for key in keys if keys.count(key) > 1)!r} more than once")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_once)


def numbered(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row with its line's number; raises `UserError` if the file or a row cannot be read. An array of
    objects is rows too, each of the line it begins at; and so is one document of lists of pairs by part, as CLINC150
    has it, {"train": [["a text", "its label"], ...], ...}: rows of `part`, `text` and `label`, numbered."""
    lines = enumerate(files.lines(path, encoding), 1)
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        return
    if first[1].lstrip().startswith("["):
        yield from _elements(path, first, lines)
        return
    for number, line in chain([first], lines):
        if not line.strip():
            continue
        try:
            row = DECODER.decode(line.strip())
        except ValueError as error:
            if number == first[0] and (document := _document(line, lines)):
                yield from _pairs(path, document)
                return
            reason = getattr(error, "msg", error)
            raise UserError(f"{path}:{number} is not JSON ({reason}): mend or remove the line") from None
        except RecursionError:
            raise UserError(f"{path}:{number} is nested too deeply: mend or remove the line") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number} is no JSON object: write a row as {{...}}")
        if number == first[0] and _is_paired(row):
            yield from _pairs(path, row)
            return
        yield number, row


def _elements(
    path: str | Path, first: tuple[int, str], lines: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of an array, each held with the lines it is on; it may have no more than a line may."""
    number, text = first
    at = text.index("[") + 1
    ended, more = False, 1
    while True:
        begin = BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # matches nothing, too
        number += text.count("\n", at, begin)
        at = begin
        if text.startswith("]", at) or (ended and at == len(text)):
            rest = next((n for n, line in chain([(number, text[at + 1 :])], lines) if line.strip()), None)
            if rest or at == len(text):
                raise UserError(f"{path}:{rest or number} does not end as an array does: mend the file")
            return
        if at < len(text):
            if text[at] != "{":
                raise UserError(f"{path}:{number} is no JSON object: write each row of the array as {{...}}")
            try:
                row, end = DECODER.raw_decode(text, at)
            except RecursionError:
                raise UserError(f"{path}:{number} is nested too deeply: mend or remove the row") from None
            except json.JSONDecodeError as error:
                if ended:
                    line = number + text.count("\n", at, error.pos)
                    raise UserError(f"{path}:{line} is not JSON ({error.msg}): mend or remove the row") from None
                if len(text) - at > files.LONGEST_LINE:
                    raise UserError(
                        f"{path}:{number} is a row longer than {files.bound()}, the most that one may be: {files.SPLIT}"
                    ) from None
            except ValueError as error:
                raise UserError(f"{path}:{number} is not JSON ({error}): mend or remove the row") from None
            else:
                yield number, row
                number += text.count("\n", at, end)
                at, more = end, 1
                continue
        # Twice as many lines each time, so that a long row is not parsed once for each of its lines.
        added = [line for _, line in islice(lines, more)]
        ended = len(added) < more
        text, at = text[at:] + "".join(added), 0
        more *= 2


def _document(first: str, lines: Iterator[tuple[int, str]]) -> dict[str, Any] | None:
    """The object that the whole file is, of several lines and at most LONGEST_TEXT; None if it is none."""
    parts, length = [first], len(first)
    for _, line in lines:
        length += len(line)
        if length > files.LONGEST_TEXT:
            return None
        parts.append(line)
    try:
        found = DECODER.decode("".join(parts).strip())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_paired(document: dict[str, Any]) -> bool:
    """Whether its values are lists of pairs of texts."""
    lists = [*document.values()]
    if not all(isinstance(found, list) for found in lists) or not any(lists):
        return False
    pairs = chain.from_iterable(lists)
    return all(isinstance(pair, list) and [type(text) for text in pair] == [str, str] for pair in pairs)


def _pairs(path: str | Path, document: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a document of pairs by part; raises `UserError` if it is another."""
    if _is_paired(document):
        rows = ((part, *pair) for part, pairs in document.items() for pair in pairs)
        yield from enumerate((dict(zip(("part", "text", "label"), row, strict=True)) for row in rows), 1)
        return
    within = next((key for key, value in document.items() if isinstance(value, list)), None)
    rows_at = f"its rows may be those under {within!r}: " if within else ""
    has = ", ".join(map(repr, [*document][:8]))
    raise UserError(
        f"{path} is one JSON document (with {has}), not a row a line: {rows_at}write an array of rows, or a row a line "
        f"(jq -c '.{within or ''}[]')"
    )


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
