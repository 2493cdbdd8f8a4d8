"""Localised software: PO and XLIFF. Each file has a translation into one language; units of the same text in the same
place are put together across files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree
from translate.storage import poparser, pypo

from stages.corpus.batches import Batch, Notes
from stages.corpus.readers import accelerators, markup, paths
from stages.corpus.readers.rows import batched
from stages.settings.corpus import Source
from stages.shared import codes, files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

UNTRANSLATED = "fuzzy or untranslated units"
OBSOLETE = "obsolete units"
KEYS = "units whose msgid is a key, not a text"
ACCELERATORS = "freed of accelerators (&Open, _Save)"
STATELESS = "units that state nothing of themselves, taken for translated"
PO_HEAD = 10_000  # more than a header has
LANGUAGE = re.compile(r'^"Language:[ \t]*([^\s"\\]+)', re.MULTILINE)
# `checkout.pay.button`, `error_not_found`: words joined by signs that prose does not join them with. `E_xit` is prose.
MESSAGE_KEY = re.compile(r"[^\W\d_][\w-]*(?:[.:][\w-]+)+|[a-z][a-z\d]*(?:_[a-z\d]+)+|[A-Z][A-Z\d]*(?:_[A-Z\d]+)+")


class Unit(NamedTuple):
    file: str
    line: int
    key: tuple[str, ...]  # what units have in common that are translations of one
    name: str  # its id, if no other unit has it
    texts: dict[str, tuple[int, str]]  # by language, the closest spelling's rank first
    msgid: str = ""  # the text in the language of the msgids, where no file has another


def read_po(source: Source, wanted: Wanted, notes: Notes) -> Iterator[Batch]:
    found = paths.find(source, [".po"])
    stores = [(file, _spelling(file, source.encoding)) for file in found]
    ranks = _po_ranks(source, wanted, [spelling for _, spelling in stores])
    units = (u for file, spelling in stores for u in _po_units(source, ranks, file, spelling, notes))
    yield from _merged(units, source.original, wanted.languages, notes)


def _po_ranks(source: Source, wanted: Wanted, spellings: list[str]) -> dict[str, dict[str, int]]:
    """The ranks of the files' spellings of each language. Of the msgids' language a file is its own only if it says the
    same: British spellings of American msgids are another text."""
    ranks = wanted.all(sorted(set(spellings)), source.path)
    if source.original in ranks and source.original not in wanted.given:
        own = codes.same(source.original, ranks[source.original])
        ranks[source.original] = {s: rank for s, rank in ranks[source.original].items() if s in own}
    return ranks


def read_xliff(source: Source, wanted: Wanted, notes: Notes) -> Iterator[Batch]:
    found = paths.find(source, [".xlf", ".xliff"])
    # Which spelling is a language's is decided by all that the files have, so they are read twice.
    spellings = {s for file in found for unit in _units(file.path) for s in _xliff_languages(unit, file)}
    ranks = wanted.all(sorted(s for s in spellings if s), source.path)
    units = (u for file in found for u in _xliff_units(ranks, file, notes))
    yield from _merged(units, None, wanted.languages, notes)


def _merged(units: Iterator[Unit], original: str | None, languages: list[str], notes: Notes) -> Iterator[Batch]:
    """A row a unit, in the place where it is read first. All are held: that of another language may come last."""
    merged: dict[tuple[str, ...], Unit] = {}
    for unit in units:
        first = merged.setdefault(unit.key, unit)
        for lang, text in unit.texts.items():
            if lang not in first.texts or text[0] < first.texts[lang][0]:
                first.texts[lang] = text
    taken: set[str] = set()
    for file, group in groupby(merged.values(), key=lambda unit: unit.file):
        rows = (_row(unit, original, languages, taken, notes) for unit in group)
        yield from batched(file, rows, languages)


def _row(unit: Unit, original: str | None, languages: list[str], taken: set[str], notes: Notes) -> tuple[Any, ...]:
    name = unit.name if unit.name not in taken else f"{unit.file}#{unit.line}"
    taken.add(name)
    texts = {lang: text for lang, (_, text) in unit.texts.items()}
    if original in languages and original not in texts:
        if MESSAGE_KEY.fullmatch(unit.msgid.strip()):
            notes.left_out[KEYS] += 1
        else:
            texts[str(original)] = unit.msgid
    freed = accelerators.without(texts)
    notes.noted[ACCELERATORS] += freed != texts
    return (unit.line, name, None, *[None] * len(languages), *(freed.get(lang) for lang in languages))


def _spelling(file: paths.Found, encoding: str) -> str:
    said = None if file.spelling else LANGUAGE.search(_po_text(file.path, encoding)[:PO_HEAD])
    spelling = file.spelling or (said and said[1])
    if not spelling:
        raise UserError(
            f"{file.path} does not say its language: add Language to its header, or write {{lang}} where corpus.files "
            "has it"
        )
    return spelling


def _po_units(
    source: Source, ranks: dict[str, dict[str, int]], file: paths.Found, spelling: str, notes: Notes
) -> Iterator[Unit]:
    lang = next((lang for lang, own in ranks.items() if spelling in own), None)
    if lang is None:
        return
    # Without a language in its name a file has no counterparts by name: messages alone tell which units are one.
    place = file.name.replace("{lang}", source.original or "{lang}") if file.spelling else file.path.name
    shared = place if file.spelling else ""
    for unit in _po_store(file.path, source.encoding).units:
        if unit.isheader():
            continue
        if unit.isobsolete():
            notes.left_out[OBSOLETE] += 1
        elif unit.istranslated():
            # Of plurals the first form: English's singular, and the only form that Korean has.
            msgid, translation = str(unit.source), str(unit.target)
            key = (shared, unit.getcontext(), msgid)
            digest = hashlib.blake2b("\0".join(key).encode(), digest_size=6).hexdigest()
            texts = {lang: (ranks[lang][spelling], translation)}
            yield Unit(str(file.path), unit.line_number, key, f"{place}#{digest}", texts, msgid)
        elif lang != source.original:  # what it does not translate its msgid says
            notes.left_out[UNTRANSLATED] += 1


def _po_store(path: Path, encoding: str) -> pypo.pofile:
    """The file as translate-toolkit parses it. It is decoded here, since the toolkit takes bytes that are not of the
    header's charset for Latin-1, and reads headers in other charsets than UTF-8 wrongly."""
    text = re.sub(r'("Content-Type:[^"\n]*charset=\s*)[\w.:-]+', r"\1UTF-8", _po_text(path, encoding), count=1)
    try:
        return pypo.pofile.parsestring(text.encode())
    except poparser.PoParseError as error:
        raise UserError(f"{path} is no PO ({error}): mend the file") from None


def _po_text(path: Path, encoding: str) -> str:
    with files.opened(path) as file:
        head = file.read(PO_HEAD)
    charset = re.search(rb'"Content-Type:[^"\n]*charset=\s*([\w.:-]+)', head)
    named = charset[1].decode() if charset else "CHARSET"
    try:
        return files.text(path, encoding if named == "CHARSET" else named)
    except LookupError:
        raise UserError(f"{path} is in {named}, which Python does not know: mend its header") from None


def _units(path: Path) -> Iterator[etree._Element]:
    for unit in markup.elements(path, "trans-unit", "unit"):
        if next(unit.iterancestors("{*}file"), None) is None:
            raise UserError(f"{path}: {_named(unit)} is in no <file>: mend the file")
        yield unit


def _named(unit: etree._Element) -> str:
    return f"the unit {unit.get('id')!r} (line {unit.sourceline})"


def _xliff_units(ranks: dict[str, dict[str, int]], file: paths.Found, notes: Notes) -> Iterator[Unit]:
    # translate-toolkit takes each translation without a stated state for one that needs work, and keeps inline codes.
    for number, unit in enumerate(_units(file.path), 1):
        pair = _pair(unit, file.path, notes)
        if pair is None:
            notes.left_out[UNTRANSLATED] += 1
            continue
        spelled = _xliff_languages(unit, file)
        if None in spelled:
            which = ("source (srcLang, source-language)", "target (trgLang, target-language)")[spelled.index(None)]
            raise UserError(
                f"{file.path} does not say the language of its {which}: add it, or write {{lang}} where corpus.files "
                "has the target's"
            )
        texts = {
            lang: (own[spelling], text)
            for spelling, text in zip(spelled, pair, strict=True)
            for lang, own in ranks.items()
            if spelling in own
        }
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


def _pair(unit: etree._Element, path: Path, notes: Notes) -> tuple[str, str] | None:
    """A unit's source and target; None if it is not to be translated or not (yet) translated."""
    whole = etree.QName(unit).localname == "trans-unit"
    parts = [unit] if whole else list(unit.iterchildren("{*}segment", "{*}ignorable"))
    if not parts:
        raise UserError(f"{path}: {_named(unit)} has no <segment>: mend the file")
    # What an element does not say of itself the nearest above it says.
    says = (element.get("translate") for element in (unit, *unit.iterancestors()))
    if next(filter(None, says), "yes") == "no":
        return None
    sources: list[str] = []
    targets: dict[int, str] = {}
    stated = True
    for at, part in enumerate(parts, 1):
        source, target = (next(markup.children(part, name), None) for name in ("source", "target"))
        ignorable = etree.QName(part).localname == "ignorable"
        if source is None:
            raise UserError(f"{path}: {_named(unit)} has no <source>: mend the file")
        sources.append(markup.text(source, path))
        if target is None and not ignorable:
            return None
        state = part.get("state") if target is None else target.get("state") or part.get("state")
        if state in ("new", "initial") or (state or "").startswith("needs-") or _guessed(target):
            return None
        stated = stated and (whole or ignorable or state is not None)
        # What lies between segments is the same in both languages, and in its own place, unless it says otherwise.
        place = str(at) if target is None or whole else target.get("order", str(at))
        if not place.isdecimal() or not 1 <= int(place) <= len(parts) or int(place) in targets:
            raise UserError(
                f"{path}: {_named(unit)} has targets in the order {place!r}, which is taken or no number from 1 to "
                f"{len(parts)}: mend the file"
            )
        targets[int(place)] = markup.text(source if target is None else target, path)
    pair = "".join(sources), "".join(targets[place] for place in sorted(targets))
    if not all(text.strip() for text in pair):
        return None
    notes.noted[STATELESS] += not stated
    return pair


def _guessed(target: etree._Element | None) -> bool:
    """Whether a memory has filled in what a similar text was translated as (XLIFF 1.2)."""
    return target is not None and target.get("state-qualifier") == "fuzzy-match"
