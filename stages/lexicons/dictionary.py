"""Translations of dictionaries in tab- or comma-separated files; what such files are worth differs much."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

from stages.lexicons.entries import Dropped, Pairs, both_ways
from stages.settings.lexicons import Lexicon
from stages.shared import jsonl, separated
from stages.shared.errors import UserError


def find(lexicon: Lexicon, source: str, target: str, dropped: Dropped) -> Pairs:
    """Both ways, of a file of either. Without a column of scores what several senses have in common comes first."""
    for one, other in permutations((source, target)):
        if file := lexicon.files.get(f"{one}-{other}"):
            return both_ways(rows(Path(lexicon.path) / file, lexicon), one, other, dropped)
    return {}


def rows(file: Path, lexicon: Lexicon) -> Iterator[tuple[str, str, float | None]]:
    """The word, translation and score of each row; without `columns` the first two fields, and no header."""
    columns = lexicon.columns
    if columns is None:
        for place, fields in separated.fields(file):
            # Some part the two by a blank, as MUSE's do.
            fields = fields if len(fields) > 1 else fields[0].split(maxsplit=1)
            if len(fields) < 2:
                raise UserError(f"{place} has no translation: mend the row, or name the file's columns in params.yaml")
            yield fields[0], fields[1], None
        return
    for place, row in separated.rows(file):
        word, translation = (jsonl.text(row, column, place) for column in (columns.word, columns.translation))
        yield word, translation, _number(row, columns.score, place) if columns.score else None


def _number(row: dict[str, str], column: str, place: str) -> float:
    written = jsonl.text(row, column, place)
    try:
        return float(written)
    except ValueError:
        raise UserError(f"{place}: {column!r} holds {written!r}, not a number: mend the row") from None
