"""Localised software: PO and XLIFF. Each file has a translation into one language; units of the same text in the same
place are put together across files."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree
from translate.storage import poparser, pypo

from stages.corpus.batches import Batch
from stages.corpus.readers import markup, paths
from stages.corpus.readers.rows import batched
from stages.settings.corpus import Source
from stages.shared import codes, files
from stages.shared.errors import UserError

UNTRANSLATED = "fuzzy or untranslated units"
OBSOLETE = "obsolete units"


class Unit(NamedTuple):
    file: str
    line: int
    key: tuple[str, ...]  # what units have in common that are translations of one
    name: str  # its id, if no other unit has it
    texts: dict[str, str]


def read_po(source: Source, languages: list[str], dropped: Counter[str]) -> Iterator[Batch]:
    found = paths.find(source, [".po"])
    yield from _merged((u for file in found for u in _po_units(source, languages, file, dropped)), languages)


def read_xliff(source: Source, languages: list[str], dropped: Counter[str]) -> Iterator[Batch]:
    found = paths.find(source, [".xlf", ".xliff"])
    yield from _merged((u for file in found for u in _xliff_units(source, languages, file, dropped)), languages)


def _merged(units: Iterator[Unit], languages: list[str]) -> Iterator[Batch]:
    """A row a unit, in the place where it is read first. All are held: that of another language may come last."""
    merged: dict[tuple[str, ...], Unit] = {}
    for unit in units:
        first = merged.setdefault(unit.key, unit)
        first.texts.update({lang: text for lang, text in unit.texts.items() if lang not in first.texts})
    taken: set[str] = set()
    for file, group in groupby(merged.values(), key=lambda unit: unit.file):
        yield from batched(file, (_row(unit, languages, taken) for unit in group), languages)


def _row(unit: Unit, languages: list[str], taken: set[str]) -> tuple[Any, ...]:
    name = unit.name if unit.name not in taken else f"{unit.file}#{unit.line}"
    taken.add(name)
    return (unit.line, name, None, *[None] * len(languages), *(unit.texts.get(lang) for lang in languages))


def _po_units(source: Source, languages: list[str], file: paths.Found, dropped: Counter[str]) -> Iterator[Unit]:
    store = _po_store(file.path, source.encoding)
    spelling = file.spelling or store.parseheader().get("Language")
    if not spelling:
        raise UserError(
            f"{file.path} does not say its language: add Language to its header, or write {{lang}} where corpus.files "
            "has it"
        )
    lang = next((lang for lang in languages if codes.find(lang, [spelling], source.codes)), None)
    if lang is None or lang == source.original:
        return
    # Without a language in its name a file has no counterparts by name: messages alone tell which units are one.
    place = file.name.replace("{lang}", str(source.original)) if file.spelling else file.path.name
    shared = place if file.spelling else ""
    for unit in store.units:
        if unit.isheader():
            continue
        if unit.isobsolete():
            dropped[OBSOLETE] += 1
        elif not unit.istranslated():
            dropped[UNTRANSLATED] += 1
        else:
            # Of plurals the first form: English's singular, and the only form that Korean has.
            original, translation = str(unit.source), str(unit.target)
            key = (shared, unit.getcontext(), original)
            digest = hashlib.blake2b("\0".join(key).encode(), digest_size=6).hexdigest()
            texts = {str(source.original): original, lang: translation}
            yield Unit(str(file.path), unit.line_number, key, f"{place}#{digest}", texts)


def _po_store(path: Path, encoding: str) -> pypo.pofile:
    """The file as translate-toolkit parses it. It is decoded here, since the toolkit takes bytes that are not of the
    header's charset for Latin-1, and reads headers in other charsets than UTF-8 wrongly."""
    with files.opened(path) as file:
        head = file.read(10_000)
    charset = re.search(rb'"Content-Type:[^"\n]*charset=\s*([\w.:-]+)', head)
    named = charset[1].decode() if charset else "CHARSET"
    try:
        lines = list(files.lines(path, encoding if named == "CHARSET" else named))
    except LookupError:
        raise UserError(f"{path} is in {named}, which Python does not know: mend its header") from None
    text = re.sub(r'("Content-Type:[^"\n]*charset=\s*)[\w.:-]+', r"\1UTF-8", "".join(lines), count=1)
    try:
        return pypo.pofile.parsestring(text.encode())
    except poparser.PoParseError as error:
        raise UserError(f"{path} is no PO ({error}): mend the file") from None


def _xliff_units(source: Source, languages: list[str], file: paths.Found, dropped: Counter[str]) -> Iterator[Unit]:
    # translate-toolkit takes each translation without a stated state for one that needs work, and keeps inline codes.
    for number, unit in enumerate(markup.elements(file.path, "trans-unit", "unit"), 1):
        pair = _pair(unit, file.path)
        if pair is None:
            dropped[UNTRANSLATED] += 1
            continue
        spelled = _xliff_languages(unit, file)
        texts: dict[str, str] = {}
        for lang in languages:
            spelling = codes.find(lang, [s for s in spelled if s], source.codes)
            if spelling:
                texts[lang] = pair[spelled.index(spelling)]
        document = next(unit.iterancestors("{*}file"))
        name = f"{document.get('original') or document.get('id') or file.name}#{unit.get('id')}"
        yield Unit(str(file.path), number, (name, pair[0]), name, texts)


def _xliff_languages(unit: etree._Element, file: paths.Found) -> tuple[str | None, str | None]:
    """What a unit's document calls the languages of its source and target (1.2, then 2.0)."""
    document, root = next(unit.iterancestors("{*}file")), unit.getroottree().getroot()
    return (
        document.get("source-language") or root.get("srcLang"),
        document.get("target-language") or root.get("trgLang") or file.spelling,
    )


def _pair(unit: etree._Element, path: Path) -> tuple[str, str] | None:
    """A unit's source and target; None if it is not to be translated or not (yet) translated."""
    parts = (
        [unit] if etree.QName(unit).localname == "trans-unit" else list(unit.iterchildren("{*}segment", "{*}ignorable"))
    )
    sources, targets = [], []
    for part in parts:
        source, target = (next(markup.children(part, name), None) for name in ("source", "target"))
        ignorable = etree.QName(part).localname == "ignorable"
        if source is None or (target is None and not ignorable) or unit.get("translate") == "no":
            return None
        state = part.get("state") if target is None else target.get("state") or part.get("state")
        if state in ("new", "initial") or (state or "").startswith("needs-"):
            return None
        sources.append(markup.text(source, path))
        # What lies between segments is the same in both languages unless it says otherwise.
        targets.append(markup.text(source if target is None else target, path))
    pair = "".join(sources), "".join(targets)
    return pair if all(text.strip() for text in pair) else None
