"""Keyed resource files, the commonest localised files of all, as translate-toolkit reads them: JSON (also i18next's),
ARB, Android's strings.xml, YAML (Rails's begins with its language), Java's .properties, Apple's .strings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml as pyyaml
from lxml import etree
from translate.storage import aresource, base, jsonl10n, properties, yaml

from stages.corpus.batches import Batch
from stages.corpus.readers import paths
from stages.corpus.readers.rows import batched
from stages.settings.corpus import Source
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError, first_line

log = logging.getLogger("corpus")
FORMATS: dict[str, Any] = {
    ".json": jsonl10n.JsonNestedFile,
    ".arb": jsonl10n.ARBJsonFile,
    ".xml": aresource.AndroidResourceFile,
    ".properties": properties.javautf8file,
    ".strings": properties.stringsutf8file,
}
LABEL = 40  # characters: a shorter string is a button's or a menu's rather than a passage


def read_resources(source: Source, wanted: Wanted) -> Iterator[Batch]:
    """A row a key of the files that are one another's translations, in the order of the first language's."""
    languages = wanted.languages
    short = strings = 0
    for name, found in paths.by_language(source, wanted):
        texts = {lang: _strings(path, source.encoding) for lang, path in found.items()}
        keys = dict.fromkeys(key for own in texts.values() for key in own)
        rows = [[texts[lang].get(key) if lang in texts else None for lang in languages] for key in keys]
        label = name.replace("{lang}", wanted.given.get(languages[0], languages[0]))
        untitled = [None] * len(languages)
        strings += len(rows)
        short += sum(len(next(filter(None, row), "")) < LABEL for row in rows)
        ids = (f"{label}#{key}" for key in keys)
        numbered = ((n, key, None, *untitled, *row) for n, (key, row) in enumerate(zip(ids, rows, strict=True), 1))
        yield from batched(str(next(iter(found.values()))), numbered, languages)
    if short:
        log.info(
            f"{source.path}: {short:,} of {strings:,} strings are shorter than {LABEL} characters, labels rather than "
            f"passages: corpus.chars: [{LABEL}, 2000] leaves them out"
        )


def _strings(path: Path, encoding: str) -> dict[str, str]:
    """The file's texts by key, of plurals the first form that there is; what is not to be translated is none."""
    text = files.text(path, encoding)
    kind = _kind(path, text)
    try:
        store = kind.parsestring(text.encode())
    except (base.ParseError, etree.XMLSyntaxError, pyyaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): mend the file") from None
    units = [unit for unit in store.units if unit.istranslatable()]
    texts = {str(unit.getid()).lstrip("."): _first_form(unit) for unit in units}
    return {key: text for key, text in texts.items() if text}


def _first_form(unit: Any) -> str:
    # Of .properties and .strings the text is the source: for the toolkit the target is a translation of another file.
    text = unit.target or unit.source
    # Where the toolkit knows no language it expects English's forms, and the first of Korean's is empty.
    return next(filter(None, map(str, getattr(text, "strings", [text or ""]))), "")


def _kind(path: Path, text: str) -> Any:
    suffix = Path(files.plain_name(path)).suffix
    if suffix in (".yml", ".yaml"):
        # Rails's has its language alone at the top, and a mapping beneath it.
        try:
            found = pyyaml.safe_load(text)
        except pyyaml.YAMLError:
            found = None
        alone = isinstance(found, dict) and len(found) == 1 and isinstance(next(iter(found.values())), dict)
        return yaml.RubyYAMLFile if alone else yaml.YAMLFile
    if suffix not in FORMATS:
        raise UserError(
            f"{path} is no resource file that is read ({', '.join([*FORMATS, '.yml'])}): check corpus.files"
        )
    return FORMATS[suffix]
