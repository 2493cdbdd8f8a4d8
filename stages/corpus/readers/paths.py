"""The files of a source: one, or those of a folder that a pattern names, with `{lang}` where it has the language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from stages.settings.corpus import FILED, Source
from stages.shared import files
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

_PACKED = rf"(?:{'|'.join(map(re.escape, files.COMPRESSED))})?"


class Found(NamedTuple):
    path: Path
    # Where it lies beneath the source's folder, with {lang} for its language and without the suffix of its compression;
    # if each language has patterns of its own, what their wildcards stand for. Files with one name are one file's
    # translations.
    name: str
    spelling: str | None  # what the path calls its language


def find(source: Source, suffixes: Iterable[str], else_suffixes: Iterable[str] = ()) -> list[Found]:
    """The files that `source.files` names, else those with one of `suffixes`, or if there are none of `else_suffixes`,
    sorted; raises `UserError` if none."""
    root = Path(source.path)
    if root.is_file():
        return [Found(root, files.plain_name(root), None)]
    if not root.is_dir():
        raise UserError(f"{root} is not there: check corpus.path")
    if isinstance(source.files, dict):
        return sorted(_of_each(root, source), key=lambda file: (file.name, file.spelling or "", file.path))
    choices = [[source.files]] if source.files else [[f"**/*{s}" for s in some] for some in (suffixes, else_suffixes)]
    found: dict[Path, Found] = {}
    for patterns in choices:
        found = found or {file.path: file for pattern in patterns for file in _matching(root, pattern)}
    if not found:
        wanted = " or ".join(pattern for patterns in choices for pattern in patterns)
        keys = "corpus.path and corpus.files" if source.source in FILED else "corpus.path"
        raise UserError(f"{root} has no file {wanted}: check {keys}")
    return sorted(found.values(), key=lambda file: (file.name, file.spelling or "", file.path))


def _of_each(root: Path, source: Source) -> list[Found]:
    """The files that each language's patterns name, of which the name is what the wildcards stand for. One that several
    languages' fit belongs to the pattern that says the most: `docs/ko/**/*.md` before `docs/**/*.md`."""
    fitting: dict[Path, list[tuple[int, str, str]]] = {}
    for lang, patterns in cast(dict[str, list[str]], source.files).items():
        without = [re.compile(_expression(pattern[1:])) for pattern in patterns if pattern.startswith("!")]
        found = 0
        for pattern in patterns:
            for path, name in [] if pattern.startswith("!") else _named(root, pattern):
                if not any(one.fullmatch(path.relative_to(root).as_posix()) for one in without):
                    said = len(re.sub(r"[*?/]", "", pattern))
                    fitting.setdefault(path, []).append((said, source.codes.get(lang, lang), name))
                    found += 1
        if not found:
            raise UserError(f"{root} has no file {' or '.join(patterns)}: check corpus.path and corpus.files.{lang}")
    taken: dict[tuple[str, str], Path] = {}
    for path, fits in sorted(fitting.items()):
        most = max(fits)
        if len({spelling for said, spelling, _ in fits if said == most[0]}) > 1:
            raise UserError(f"{path} is of several languages by corpus.files: write patterns that tell them apart")
        before = taken.setdefault((most[1], most[2]), path)
        if before != path:
            raise UserError(f"{before} and {path} are one file by corpus.files: leave one of them out")
    return [Found(path, name, spelling) for (spelling, name), path in taken.items()]


def _named(root: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """The files that a pattern without {lang} names, with what its wildcards stand for."""
    expression = re.compile(_expression(pattern, "({})") + _PACKED)
    for path in _globbed(root, pattern):
        match = expression.fullmatch(path.relative_to(root).as_posix())
        if match and path.is_file():
            yield path, "".join(part or "" for part in match.groups())


def by_language(source: Source, wanted: Wanted) -> list[tuple[str, dict[str, Path]]]:
    """Each name with its file in every language that has it, sorted; raises `UserError` if a language has no files at
    all."""
    found = find(source, ())
    spellings = sorted({file.spelling for file in found if file.spelling})
    spelled = wanted.each(spellings, f"{source.path}: {source.files}")
    names: dict[str, dict[str, Path]] = {}
    for lang in wanted.languages:
        if lang not in spelled:
            if isinstance(source.files, dict):
                raise UserError(
                    f"corpus.files names no files in {lang}: add a pattern, or remove {lang} from languages"
                )
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
    expression = re.compile(_expression(pattern) + _PACKED)
    for path in _globbed(root, pattern.replace("{lang}", "*")):
        match = expression.fullmatch(path.relative_to(root).as_posix())
        if match is None or not path.is_file():
            continue
        spelling = match.groupdict().get("lang")
        name = path.relative_to(root).with_name(files.plain_name(path)).as_posix()
        if spelling is not None:
            start, end = match.span("lang")
            name = name[:start] + "{lang}" + name[end:]
        yield Found(path, name, spelling)


def _globbed(root: Path, pattern: str) -> set[Path]:
    return {path for suffix in ("", *files.COMPRESSED) for path in root.glob(pattern + suffix)}


def _expression(pattern: str, group: str = "{}") -> str:
    """A glob pattern as a regular expression, its first {lang} as a group and others as that group again; `group` goes
    around the wildcards."""
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts, seen = [], False
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\{lang\})", pattern):
        if part == "{lang}":
            parts.append("(?P=lang)" if seen else "(?P<lang>[^/]+?)")
            seen = True
        else:
            parts.append(group.format(meanings[part]) if part in meanings else re.escape(part))
    return "".join(parts)
