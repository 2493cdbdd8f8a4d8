"""What each reader gives, and how it finds its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from stages.schemas.benchmarks import BENCHMARK_LABELS
from stages.shared.codes import Wanted
from stages.shared.errors import UserError


class Parts(NamedTuple):
    """A benchmark as published: texts may be empty or null, qrels may be of texts that are not there, or of 0.

    `qrels` without a column `lang` judge a passage in all its languages.
    """

    passages: pl.LazyFrame  # BENCHMARK_PASSAGES
    queries: pl.DataFrame  # BENCHMARK_QUERIES
    qrels: pl.DataFrame  # BENCHMARK_QRELS or QRELS
    # Of a benchmark by label (BENCHMARK_LABELS): all passages of a query's label answer it.
    labels: pl.DataFrame = pl.DataFrame(schema=BENCHMARK_LABELS)
    # Whether a query and a passage of one id are the same text, as BEIR's evaluation takes them.
    ids_shared: bool = False
    # What the reader has left out already, by reason.
    left_out: Mapping[str, int] = MappingProxyType({})


def of_language(name: str, lang: str) -> str:
    """An id that other languages use for something else."""
    return f"{lang}:{name}"


def by_language(folder: Path, pattern: str, wanted: Wanted, layout: str) -> dict[str, list[Path]]:
    """The files beneath `folder` of those languages that have some: their paths end in `pattern`, a regular expression
    in whose group `lang` the language is, however spelt. Raises `UserError`, which names the `layout`, if none has."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        match = re.search(rf"(?:^|/){pattern}$", path.relative_to(folder).as_posix())
        if match and path.is_file():
            found.setdefault(match["lang"], []).append(path)
    spelled = wanted.each(found, str(folder))
    if not spelled:
        has = f"it has {', '.join(sorted(found)[:10])}" if found else "it has no such file"
        languages = ", ".join(wanted.languages)
        raise UserError(f"{folder} has no {layout} in {languages} ({has}): check the path and the languages")
    return {lang: found[spelling] for lang, spelling in spelled.items()}


def one(folder: Path, pattern: str, layout: str) -> Path:
    """The one file beneath `folder` whose path ends in `pattern`; raises `UserError` if there is none, or several."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and re.search(rf"(?:^|/){pattern}$", path.relative_to(folder).as_posix())
    ]
    if not found:
        raise UserError(f"{folder} has no {layout}: check the path and the split")
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:3])
        raise UserError(f"{folder} has {layout} more than once ({names}): leave one, or set the path to its folder")
    return found[0]
