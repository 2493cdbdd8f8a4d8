"""Localised software: PO and XLIFF. Each file has a translation into one language; units of the same text in the same
place are put together across files."""

from __future__ import annotations

import hashlib
import logging
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

log = logging.getLogger("corpus")
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
    langs = _po_spellings(source, wanted, [spelling for _, spelling in stores])
    units = (
        unit
        for file, spelling in stores
        if spelling in langs
        for unit in _po_units(source, langs[spelling], file, notes)
    )
    yield from _merged(units, source.original, wanted.languages, notes)


def _po_spellings(source: Source, wanted: Wanted, spellings: list[str]) -> dict[str, str]:
    """The language of each spelling that is one: of several variants the closest alone. Of the msgids' language a file
    is its own only if it says the same: British spellings of American msgids are another text."""
    spelled = wanted.each(sorted(set(spellings)), source.path)
    own = spelled.get(source.original or "")
    if own and source.original not in wanted.given and own not in codes.same(str(source.original), [own]):
        del spelled[str(source.original)]
    return {spelling: lang for lang, spelling in spelled.items()}


def read_xliff(source: Source, wanted: Wanted, notes: Notes) -> Iterator[Batch]:
    found = paths.find(source, [".xlf", ".xliff"])
    # Which spelling is a language's is decided by all that the files have, so they are read twice.
    spoken = {file.path: _spoken(file) for file in found}
    pairs = set().union(*spoken.values())
    sources, targets = (sorted({pair[side] or "" for pair in pairs} - {""}) for side in (0, 1))
    nearest = wanted.each([*sources, *targets], source.path)
    spelled = _Spelled(wanted.all(sources, source.path), {nearest[lang]: lang for lang in nearest})
    units = (
        unit
        for file in found
        if any(spelled.read(target, wanted.languages) for _, target in spoken[file.path])
        for unit in _xliff_units(spelled, file, wanted.languages, notes)
    )
    yield from _merged(units, None, wanted.languages, notes)


class _Spelled(NamedTuple):
    """How XLIFF's files spell languages: `sources`, of each the ranks of several spellings, since what is translated
    may be en in one file and en-US in the next; `targets`, the language of each spelling that is one, the closest
    alone: translations of two variants are two texts."""

    sources: dict[str, dict[str, int]]
    targets: dict[str, str]

    def read(self, target: str | None, languages: list[str]) -> bool:
        """Whether what is translated into `target` is of use: if it is wanted, or does not say what it is; of a single
        language every file may have the source."""
        return target is None or target in self.targets or len(languages) == 1

    def texts(self, spelled: tuple[str, str], pair: tuple[str, str]) -> dict[str, tuple[int, str]]:
        texts = {lang: (own[spelled[0]], pair[0]) for lang, own in self.sources.items() if spelled[0] in own}
        lang = self.targets.get(spelled[1])
        return {lang: (0, pair[1])} | texts if lang else texts


def _spoken(file: paths.Found) -> set[tuple[str | None, str | None]]:
    """The languages of source and target that a file's units have. If it is broken, of those before: a language that
    is not asked for stops nothing."""
    spoken: set[tuple[str | None, str | None]] = set()
    try:
        for unit in _units(file.path):
            spoken.add(_xliff_languages(unit, file))
    except UserError as error:
        if not spoken:
            if not file.spelling:
                raise
            spoken.add((None, file.spelling))
        log.warning(f"{error}: it stops a build only in the languages that it begins with")
    return spoken


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


def _po_units(source: Source, lang: str, file: paths.Found, notes: Notes) -> Iterator[Unit]:
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
            texts = {lang: (0, translation)}
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


def _xliff_units(spelled: _Spelled, file: paths.Found, languages: list[str], notes: Notes) -> Iterator[Unit]:
    # translate-toolkit takes each translation without a stated state for one that needs work, and keeps inline codes.
    for number, unit in enumerate(_units(file.path), 1):
        own, target = _xliff_languages(unit, file)
        if not spelled.read(target, languages):
            continue
        pair = _pair(unit, file.path, notes)
        if pair is None:
            notes.left_out[UNTRANSLATED] += 1
            continue
        if own is None or target is None:
            which = "source (srcLang, source-language)" if own is None else "target (trgLang, target-language)"
            raise UserError(
                f"{file.path} does not say the language of its {which}: add it, or write {{lang}} where corpus.files "
                "has the target's"
            )
        texts = spelled.texts((own, target), pair)
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
