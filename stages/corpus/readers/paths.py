"""The files of a source: one, or those of a folder that a pattern names, with `{lang}` where it has the language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stages.settings.corpus import Source
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError


class Found(NamedTuple):
    path: Path
    # Where it lies beneath the source's folder, with {lang} for its language and without the suffix of its compression:
    # files with one name are one file's translations.
    name: str
    spelling: str | None  # what the path calls its language


def find(source: Source, suffixes: Iterable[str]) -> list[Found]:
    """The files that `source.files` names, else those with one of `suffixes`, sorted; raises `UserError` if none."""
    root = Path(source.path)
    if root.is_file():
        return [Found(root, files.plain_name(root), None)]
    if not root.is_dir():
        raise UserError(f"{root} is not there: check corpus.path")
    patterns = [source.files] if source.files else [f"**/*{suffix}" for suffix in suffixes]
    found = {file.path: file for pattern in patterns for file in _matching(root, pattern)}
    if not found:
        wanted = " or ".join(patterns)
        raise UserError(f"{root} has no file {wanted}: check corpus.path and corpus.files")
    return sorted(found.values(), key=lambda file: (file.name, file.spelling or "", file.path))


def by_language(source: Source, wanted: Wanted) -> list[tuple[str, dict[str, Path]]]:
    """Each name with its file in every language that has it, sorted; raises `UserError` if a language has no files at
    all."""
    found = find(source, ())
    spellings = sorted({file.spelling for file in found if file.spelling})
    spelled = wanted.each(spellings, f"{source.path}: {source.files}")
    names: dict[str, dict[str, Path]] = {}
    for lang in wanted.languages:
        if lang not in spelled:
            raise UserError(f"{source.path} has no {source.files} in {lang}: {wanted.missing(lang)}")
        for file in found:
            if file.spelling == spelled[lang]:
                names.setdefault(file.name, {}).setdefault(lang, file.path)
    return sorted(names.items())


def shortened(names: Iterable[str], most: int = 8) -> str:
    """Names for a message, the first few."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _matching(root: Path, pattern: str) -> Iterable[Found]:
    expression = re.compile(_expression(pattern) + rf"(?:{'|'.join(map(re.escape, files.COMPRESSED))})?")
    glob = pattern.replace("{lang}", "*")
    for path in {path for suffix in ("", *files.COMPRESSED) for path in root.glob(glob + suffix)}:
        match = expression.fullmatch(path.relative_to(root).as_posix())
        if match is None or not path.is_file():
            continue
        spelling = match.groupdict().get("lang")
        name = path.relative_to(root).with_name(files.plain_name(path)).as_posix()
        if spelling is not None:
            start, end = match.span("lang")
            name = name[:start] + "{lang}" + name[end:]
        yield Found(path, name, spelling)


def _expression(pattern: str) -> str:
    """A glob pattern as a regular expression, its first {lang} as a group and others as that group again."""
    meanings = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    parts, seen = [], False
    for part in re.split(r"(\*\*/|\*|\?|\{lang\})", pattern):
        if part == "{lang}":
            parts.append("(?P=lang)" if seen else "(?P<lang>[^/]+?)")
            seen = True
        else:
            parts.append(meanings.get(part, re.escape(part)))
    return "".join(parts)
