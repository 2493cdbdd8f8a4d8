"""Parallel titles as translations: those of the collection's training passages, or Wikipedia's.

Of a wiki the SQL dumps of `langlinks` (what a page is called elsewhere) and `page` (what it is called there) are
streamed; in memory are the links into the other languages asked for. Of titles namespaces are cut (`Category:`), and
what tells pages of one name apart (`Mercury (planet)`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import regex

from stages.lexicons import texts
from stages.lexicons.entries import Dropped, Pairs, both_ways
from stages.settings.lexicons import Lexicon
from stages.shared import files

NAMESPACE = regex.compile(r"^\p{L}[\p{L} ]*:(?=\S)")
IN_BRACKETS = regex.compile(r"\s*[(（][^()（）]*[)）]$")
# Rows of the dumps; a string may hold whatever parts rows, and quotation marks behind a backslash.
STRING = r"'((?:[^'\\]|\\.)*+)'"
LINK_ROW = regex.compile(rf"\((\d+),{STRING},{STRING}\)")
PAGE_ROW = regex.compile(rf"\((\d+),(-?\d+),{STRING}(?:,(?:'(?:[^'\\]|\\.)*+'|[^,()']*+))*+\)")
ESCAPED = regex.compile(r"\\(.)")
ARTICLES = "0"


def find(lexicon: Lexicon, source: str, target: str, dropped: Dropped) -> Pairs:
    """Both ways, of the dumps of either; the score is the share of a word's titles that have the translation."""
    if not lexicon.files:
        found = ((text, translation) for text, translation in texts.titles(source, target))
        return both_ways(_cut(found, dropped), source, target, dropped)
    for one, other in permutations((source, target)):
        if file := lexicon.files.get(one):
            return both_ways(_cut(linked(Path(lexicon.path), file, other), dropped), one, other, dropped)
    return {}


def _cut(pairs: Iterator[tuple[str, str]], dropped: Dropped) -> Iterator[tuple[str, str, None]]:
    for pair in pairs:
        if any("\N{REPLACEMENT CHARACTER}" in title for title in pair):
            dropped["titles cut within a character"] += 1
        else:
            title, translation = (IN_BRACKETS.sub("", NAMESPACE.sub("", title)) for title in pair)
            yield title, translation, None


def linked(folder: Path, file: str, target: str) -> Iterator[tuple[str, str]]:
    """The title of each article and what it is called in the language `target`; {table} in the name `file` is what the
    dump is of. Raises `UserError` if one cannot be read."""
    elsewhere = _rows(folder / file.replace("{table}", "langlinks"), LINK_ROW)
    links = {link[1]: _text(link[3]) for link in elsewhere if link[2] == target}
    for page in _rows(folder / file.replace("{table}", "page"), PAGE_ROW):
        if page[2] == ARTICLES and page[1] in links:
            yield _text(page[3]), links[page[1]]


def _rows(path: Path, row: regex.Pattern[str]) -> Iterator[regex.Match[str]]:
    with files.opened(path) as opened:
        # Titles end at a byte, be it within a character. A line has about a megabyte.
        while line := opened.readline(files.LONGEST_LINE):
            if line.startswith(b"INSERT INTO "):
                yield from row.finditer(line.decode("utf-8", errors="replace"))


def _text(written: str) -> str:
    return ESCAPED.sub(r"\1", written).replace("_", " ")
