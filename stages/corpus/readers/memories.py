"""Translation memories (TMX) and line pairs (Moses, as OPUS has them), streamed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from lxml import etree

from stages.corpus.batches import Batch
from stages.corpus.readers import markup, paths
from stages.corpus.readers.rows import batched
from stages.settings.corpus import Source
from stages.shared import codes, files
from stages.shared.errors import UserError


def read_tmx(source: Source, languages: list[str]) -> Iterator[Batch]:
    """A row a translation unit, named by its number: TMX 1.4 allows several to have one `tuid`."""
    for file in paths.find(source, [".tmx"]):
        yield from batched(str(file.path), _units(source, languages, file), languages)


def _units(source: Source, languages: list[str], file: paths.Found) -> Iterator[tuple[Any, ...]]:
    known: dict[tuple[str, ...], list[str | None]] = {}
    for number, unit in enumerate(markup.elements(file.path, "tu"), 1):
        variants: dict[str, etree._Element] = {}
        for variant in markup.children(unit, "tuv"):
            # The first text of a language counts; `lang` alone is TMX 1.1's.
            variants.setdefault(variant.get(markup.LANG) or variant.get("lang") or "", variant)
        spellings = tuple(variants)
        if spellings not in known:
            known[spellings] = [codes.find(lang, spellings, source.codes) for lang in languages]
        segments = [
            None if spelling is None else next(markup.children(variants[spelling], "seg"), None)
            for spelling in known[spellings]
        ]
        texts = [None if segment is None else markup.text(segment, file.path) for segment in segments]
        yield number, f"{file.name}#{number}", None, *[None] * len(languages), *texts


def read_moses(source: Source, languages: list[str]) -> Iterator[Batch]:
    """A row a line of files that have a line for each line of the others."""
    for name, found in paths.by_language(source, languages):
        yield from batched(str(next(iter(found.values()))), _pairs(source, languages, name, found), languages)


def _pairs(source: Source, languages: list[str], name: str, found: dict[str, Path]) -> Iterator[tuple[Any, ...]]:
    label = name.replace("{lang}", source.codes.get(languages[0], languages[0]))
    untitled = [None] * len(languages)
    columns = [files.lines(found[lang], source.encoding) if lang in found else None for lang in languages]
    present = [column for column in columns if column is not None]
    places = [languages.index(lang) for lang in found]
    number = 0
    for number, texts in enumerate(zip_longest(*present), 1):
        if None in texts:
            rest = [
                number - (text is None) + sum(1 for _ in column) for text, column in zip(texts, present, strict=True)
            ]
            counts = ", ".join(f"{path} has {n:,} lines" for path, n in zip(found.values(), rest, strict=True))
            raise UserError(f"{counts}: line pairs need as many in each")
        row: list[str | None] = [None] * len(languages)
        for place, text in zip(places, texts, strict=True):
            row[place] = text.removesuffix("\n").removesuffix("\r")
        yield number, f"{label}#{number}", None, *untitled, *row
