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
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError


def read_tmx(source: Source, wanted: Wanted) -> Iterator[Batch]:
    """A row a translation unit, named by its number: TMX 1.4 allows several to have one `tuid`."""
    found = paths.find(source, [".tmx"])
    # Which spelling is a language's is decided by all that the memories have, so they are read twice.
    spelled = wanted.all(sorted({lang for file in found for lang in _spellings(file.path)}), source.path)
    for file in found:
        yield from batched(str(file.path), _units(file, wanted.languages, spelled), wanted.languages)


def _spellings(path: Path) -> set[str]:
    return {_spelling(variant) for unit in markup.elements(path, "tu") for variant in markup.children(unit, "tuv")}


def _spelling(variant: etree._Element) -> str:
    return variant.get(markup.LANG) or variant.get("lang") or ""  # `lang` alone is TMX 1.1's


def _units(file: paths.Found, languages: list[str], spelled: dict[str, dict[str, int]]) -> Iterator[tuple[Any, ...]]:
    for number, unit in enumerate(markup.elements(file.path, "tu"), 1):
        variants = [(_spelling(variant), variant) for variant in markup.children(unit, "tuv")]
        texts = [_closest(file.path, variants, spelled.get(lang, {})) for lang in languages]
        yield number, f"{file.name}#{number}", None, *[None] * len(languages), *texts


def _closest(path: Path, variants: list[tuple[str, etree._Element]], ranks: dict[str, int]) -> str | None:
    """A unit's text in one language, of which it may have several, and empty ones before them."""
    own = [(ranks[spelling], variant) for spelling, variant in variants if spelling in ranks]
    for _, variant in sorted(own, key=lambda ranked: ranked[0]):
        for segment in markup.children(variant, "seg"):
            if (text := markup.text(segment, path)).strip():
                return text
    return None


def read_moses(source: Source, wanted: Wanted) -> Iterator[Batch]:
    """A row a line of files that have a line for each line of the others."""
    for name, found in paths.by_language(source, wanted):
        yield from batched(str(next(iter(found.values()))), _pairs(source, wanted, name, found), wanted.languages)


def _pairs(source: Source, wanted: Wanted, name: str, found: dict[str, Path]) -> Iterator[tuple[Any, ...]]:
    languages = wanted.languages
    label = name.replace("{lang}", wanted.given.get(languages[0], languages[0]))
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
