"""Folders in the layout of BEIR: texts (`_id` or `id`, `text`, maybe `title`) of a corpus and of queries, and
qrels (query, passage, score), as JSON Lines, compressed or not, Parquet, or (qrels) tab-separated.

- A language is in a file's name (`corpus.ko.jsonl`), or in a folder's, as MTEB publishes its sets on the hub
  (`ko-corpus/test-00000-of-00001.parquet`, `ko-queries`, `ko-qrels`). Files without one (`corpus.jsonl`) count as the
  only language's.
- Ids name parallel groups: a passage has one id in all its languages, or one with the language for a suffix (`p7.ko`),
  which then judges that language's text alone. A suffix is one only if every id of the language's file has it: `amazon`
  and `amazon.de` are two ids.
- Where each language has qrels of its own and they differ, ids are taken for that language's own, and get it for
  a prefix (`ko:12`).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import polars as pl

from stages.shared import files, jsonl, judgements, records, separated, tables
from stages.shared.codes import Wanted
from stages.shared.errors import UserError
from stages.shared.languages import is_language

log = logging.getLogger(__name__)
SUFFIXES = (".jsonl", ".parquet", ".tsv")
SHARD = re.compile(r"-\d{5}-of-\d{5}$")
TEXT_ROWS: tables.Schema = {"passage": pl.String, "lang": pl.String, "title": pl.String, "text": pl.String}
QUERY_ROWS: tables.Schema = {"query": pl.String, "lang": pl.String, "text": pl.String}
JUDGED_ROWS: tables.Schema = {"query": pl.String, "passage": pl.String, "lang": pl.String, "relevance": pl.Int32}
# Queries, passages and scores under the names that BEIR and MTEB give them.
JUDGED = ("query-id", "corpus-id", "score")


class File(NamedTuple):
    path: Path
    named: str | None  # what its own name, or its folder's, says besides the kind: a language
    beside: tuple[str, ...]  # the folder above it and what is in this folder: a language or a split


class SideTexts(NamedTuple):
    rows: pl.DataFrame  # TEXT_ROWS, whose ids have no suffixes
    suffixes: dict[str, str]  # what every id of a language's files ended in


def read(
    folder: str | Path, wanted: Wanted, split: str | None = None, left_out: Counter[str] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Passages, queries and qrels of the languages that are wanted, sorted; judgements of texts that it has in none of
    them are left out, and counted in `left_out`. Raises `UserError` if the folder is not in this layout, or has neither
    passages nor queries in one of them."""
    folder = _checked(folder)
    corpus, asked = (_texts(folder, kind, wanted, split) for kind in ("corpus", "queries"))
    for lang in wanted.languages:
        if not any(lang in table["lang"] for table in (corpus.rows, asked.rows)):
            raise UserError(f"{folder} has no corpus and no queries in {lang}: {wanted.missing(lang)}")
    passages, queries = corpus.rows, asked.rows.rename({"passage": "query"}).select(*QUERY_ROWS)
    judged = _qrels_by_language(folder, wanted, split)
    if _differ(judged):
        log.info(f"{folder}: the languages have qrels of their own, so ids are taken for their own too")
        passages, queries = _prefixed(passages, "passage"), _prefixed(queries, "query")
        judged = {lang: _prefixed(_prefixed(table, "query", lang), "passage", lang) for lang, table in judged.items()}
        found = pl.concat(judged.values())
    else:
        found = next(iter(judged.values()))
    return (
        passages.sort("passage", "lang"),
        queries.sort("query", "lang"),
        _qrels(found, passages, queries, wanted.languages, (corpus.suffixes, asked.suffixes), left_out),
    )


def corpus(folder: str | Path, wanted: Wanted, unnamed: str) -> pl.DataFrame:
    """The passages alone, of one split; files without a language in their names are of the language `unnamed`."""
    return _texts(_checked(folder), "corpus", wanted, None, unnamed).rows.sort("passage", "lang")


def _checked(folder: str | Path) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: check the path in params.yaml")
    return folder


def _prefixed(table: pl.DataFrame, column: str, lang: str | None = None) -> pl.DataFrame:
    prefix = pl.lit(lang) if lang else pl.col("lang")
    return table.with_columns(pl.concat_str(prefix, pl.lit(":"), column).alias(column))


def _texts(folder: Path, kind: str, wanted: Wanted, split: str | None, unnamed: str | None = None) -> SideTexts:
    files_of_kind, languages = _files(folder, kind), wanted.languages
    spelled = _spelled(files_of_kind, wanted, folder)
    found = _by_language(files_of_kind, spelled)
    only = unnamed or (languages[0] if len(languages) == 1 else None)
    if not found and only in languages:
        found = {only: [file for file in files_of_kind if not _of_a_language(file)]}
    if not any(found.values()):
        names = ", ".join(f"{kind}.{lang}.jsonl" for lang in languages)
        raise UserError(f"{folder} has none of {names}: add one or change languages")
    parts, suffixes = [], {}
    for lang, of_language in found.items():
        paths = _of_split(of_language, split, folder)
        table = records.frame((row for _, row in _rows(paths, lang)), TEXT_ROWS)
        if table["passage"].is_duplicated().any():
            raise _repeated(paths, lang)
        for suffix in dict.fromkeys((f".{lang}", f".{spelled.get(lang, lang)}")):
            if table["passage"].str.ends_with(suffix).all() and not table.is_empty():
                table = table.with_columns(pl.col("passage").str.strip_suffix(suffix))
                suffixes[lang] = suffix
                break
        parts.append(table)
    return SideTexts(pl.concat(parts).filter((pl.col("text") != "") | (pl.col("title") != "")), suffixes)


def _rows(paths: Iterable[Path], lang: str) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    for path in paths:
        for place, row in records.rows(path):
            name = jsonl.text(row, "id" if "id" in row and "_id" not in row else "_id", place)
            title = jsonl.text(row, "title", place) if "title" in row else ""
            yield place, (name, lang, title, jsonl.text(row, "text", place))


def _repeated(paths: Iterable[Path], lang: str) -> UserError:
    seen: dict[str, str] = {}
    for place, (name, *_) in _rows(paths, lang):
        if name in seen:
            return UserError(f"{place} repeats the id {name!r} of {seen[name]}: ids must differ")
        seen[name] = place
    raise AssertionError("no id is repeated")


def _qrels_by_language(folder: Path, wanted: Wanted, split: str | None) -> dict[str, pl.DataFrame]:
    """Qrels as they stand (query, passage, relevance), of each language or, under '', of all."""
    # MTEB has them in the config `qrels` or `default`, whose files may be in the folder `data`.
    found = _files(folder, "qrels") or _files(folder, "default") or _files(folder, "data")
    if not found:
        raise UserError(f"{folder} has no qrels.tsv: add the relevance judgements")
    fields = {name: JUDGED_ROWS[name] for name in ("query", "passage", "relevance")}
    return {
        lang: records.frame((row for path in _judging(own, split, folder) for row in _judged(path)), fields)
        for lang, own in (_by_language(found, _spelled(found, wanted, folder)) or {"": found}).items()
    }


def _judged(path: Path) -> Iterator[tuple[str, str, int]]:
    if not files.plain_name(path).endswith(".tsv"):
        for place, row in records.rows(path):
            query, passage = (jsonl.text(row, name, place) for name in JUDGED[:2])
            yield query, passage, judgements.relevance(jsonl.field(row, JUDGED[2], place), place)
        return
    for number, (place, fields) in enumerate(separated.fields(path), 1):
        # `query-id corpus-id score`, or TREC's four columns `query 0 passage relevance`.
        if len(fields) not in (3, 4):
            raise UserError(f"{place} is no judgement: write query, passage, score, tab-separated")
        if number > 1 or not judgements.is_header(fields):
            yield fields[0].strip(), fields[-2].strip(), judgements.relevance(fields[-1], place)


def _differ(judged: dict[str, pl.DataFrame]) -> bool:
    first, *others = (table.sort(*table.columns) for table in judged.values())
    return any(not first.equals(other) for other in others)


def _qrels(
    judged: pl.DataFrame,
    passages: pl.DataFrame,
    queries: pl.DataFrame,
    languages: list[str],
    suffixes: tuple[dict[str, str], dict[str, str]],
    left_out: Counter[str] | None,
) -> pl.DataFrame:
    """`judged` in each language that has the passage. A passage's id with a language for a suffix judges that
    language's text alone; a query's id names the query in all its languages. `suffixes` are those of passages and of
    queries; what is left out is counted in `left_out`."""
    passage_suffixes, query_suffixes = suffixes
    left_out = Counter() if left_out is None else left_out
    judged = judged.with_row_index("judgement")
    if query_suffixes:
        # An id that some query has as it stands has no suffix.
        ends = "|".join(map(re.escape, query_suffixes.values()))
        known = pl.col("query").is_in(queries["query"].unique().implode())
        bare = pl.col("query").str.replace(f"(?:{ends})$", "")
        judged = judged.with_columns(pl.when(known).then("query").otherwise(bare))
    of_language = [
        judged.with_columns(
            pl.col("passage").str.strip_suffix(passage_suffixes[lang]) if lang in passage_suffixes else "passage",
            lang=pl.lit(lang),
        )
        for lang in languages
    ]
    there = (
        pl.concat(of_language)
        .join(passages, on=["passage", "lang"], how="semi", maintain_order="left")
        .join(queries, on="query", how="semi", maintain_order="left")
    )
    relevant = pl.col("relevance") > 0
    judgements.count_absent(judged.filter(relevant).join(there, on="judgement", how="anti"), queries, left_out)
    return (
        judgements.last(there.select(*JUDGED_ROWS), ["query", "passage", "lang"], left_out)
        .filter(relevant)
        .sort("query", "passage", "lang")
    )


def _spelled(found: list[File], wanted: Wanted, folder: Path) -> dict[str, str]:
    """What the names of the files call each language."""
    return wanted.each(sorted({word for file in found for word in _words(file)}), str(folder))


def _by_language(found: list[File], spelled: dict[str, str]) -> dict[str, list[File]]:
    """The files of each language that has some, by their names."""
    return {lang: [f for f in found if spelling in _words(f)] for lang, spelling in spelled.items()}


def _words(file: File) -> tuple[str, ...]:
    return (file.named,) if file.named else file.beside


def _of_a_language(file: File) -> bool:
    return bool(file.named) or any(
        re.fullmatch(r"[a-z]{2}([-_].+)?", word) and is_language(word.replace("_", "-")) for word in file.beside
    )


def _files(folder: Path, kind: str) -> list[File]:
    found = []
    for path in sorted(folder.rglob("*")):
        name = PurePosixPath(path.relative_to(folder).parent / files.plain_name(path))
        if name.suffix not in SUFFIXES or not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        parts = [*name.parent.parts, SHARD.sub("", name.stem)]
        for at, part in enumerate(parts):
            if match := re.fullmatch(rf"(?:(.+)-)?{kind}(?:[._-](.+))?", part):
                found.append(File(path, match[1] or match[2], (*parts[max(at - 1, 0) : at], *parts[at + 1 :])))
                break
    return found


def _judging(found: list[File], split: str | None, folder: Path) -> list[Path]:
    """As `_of_split`; qrels of another split are no stand-in for those that are asked for."""
    splits = {file.beside[-1] for file in found if file.beside}
    if split and len(splits) == 1 and splits < {"train", "dev", "validation", "test"} and split not in splits:
        raise UserError(f"{folder} judges the split {splits.pop()} alone, not {split}: change the benchmark's split")
    return _of_split(found, split, folder)


def _of_split(found: list[File], split: str | None, folder: Path) -> list[Path]:
    """The files of `split`, or of test if none is asked for; all of them if they are of one split alone."""
    splits = sorted({file.beside[-1] for file in found if file.beside})
    if len(splits) < 2:
        return [file.path for file in found]
    wanted = split or "test"
    if wanted not in splits:
        raise UserError(f"{folder} has no split {wanted}: set the benchmark's split to one of {', '.join(splits)}")
    return [file.path for file in found if wanted in file.beside]
