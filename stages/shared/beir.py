"""Folders in the layout of BEIR, with a file a language: `corpus.<lang>.jsonl` and `queries.<lang>.jsonl`
(`_id`, `text`, maybe `title`), `qrels.tsv` (query, passage, score; a header line). Ids name parallel groups:
a passage has one id in all its languages, or one with the language for a suffix (`p7.ko`).

Without a language in their names (`corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`), files count as the only
language's.
"""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl

from stages.shared import jsonl
from stages.shared.errors import UserError
from stages.shared.tables import BENCHMARK_PASSAGES, QRELS, QUERIES


def read(folder: str | Path, languages: list[str]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Passages, queries and qrels of those `languages` that the folder has, sorted; judgements of texts in
    other languages are left out. Raises `UserError` if the folder is not in this layout or has none of them."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: check the path in params.yaml")
    passages = _texts(folder, "corpus", languages)
    queries = _texts(folder, "queries", languages)
    qrels = _qrels(folder, passages, languages)
    known = set(queries["query"])
    return passages, queries, qrels.filter(pl.col("query").is_in(known))


def _texts(folder: Path, kind: str, languages: list[str]) -> pl.DataFrame:
    files = {lang: found for lang in languages if (found := _file(folder, kind, lang, languages))}
    if not files:
        wanted = ", ".join(f"{kind}.{lang}.jsonl" for lang in languages)
        raise UserError(f"{folder} has none of {wanted}: add one or change languages")
    rows: list[tuple[str, str, str, str]] = []
    seen: dict[tuple[str, str], str] = {}
    for lang, file in files.items():
        for place, row in jsonl.rows(file):
            name = jsonl.text(row, "_id", place).removesuffix(f".{lang}")
            if (name, lang) in seen:
                raise UserError(f"{place} repeats the id {name!r} of {seen[name, lang]}: ids must differ")
            seen[name, lang] = place
            title = jsonl.text(row, "title", place) if row.get("title") else ""
            rows.append((name, lang, title, jsonl.text(row, "text", place)))
    table = pl.DataFrame(rows, schema=BENCHMARK_PASSAGES, orient="row")
    table = table.filter((pl.col("text") != "") | (pl.col("title") != "")).sort("passage", "lang")
    return table if kind == "corpus" else table.rename({"passage": "query"}).select(*QUERIES)


def _file(folder: Path, kind: str, lang: str, languages: list[str]) -> Path | None:
    names = [f"{kind}.{lang}.jsonl"] + ([f"{kind}.jsonl"] if len(languages) == 1 else [])
    found = [folder / (n + z) for n in names for z in ("", ".gz") if (folder / (n + z)).is_file()]
    return found[0] if found else None


def _qrels(folder: Path, passages: pl.DataFrame, languages: list[str]) -> pl.DataFrame:
    file = next((f for f in (folder / "qrels.tsv", folder / "qrels" / "test.tsv") if f.is_file()), None)
    if file is None:
        raise UserError(f"{folder} has no qrels.tsv: add the relevance judgements")
    present = set(passages.select("passage", "lang").iter_rows())
    judged: dict[tuple[str, str, str], int] = {}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for number, fields in enumerate(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            # `query-id corpus-id score`, or TREC's four columns `query 0 passage relevance`.
            if len(fields) not in (3, 4) or not fields[-1].strip().lstrip("-").isdigit():
                if number == 1 and len(fields) in (3, 4):
                    continue  # the header
                raise UserError(f"{file}:{number} is no judgement: write query, passage, score, tab-separated")
            query, passage, score = fields[0], fields[-2], int(fields[-1])
            for lang in languages:
                # A passage's id with a language for a suffix judges that language's text alone; a query's id names
                # the query in all its languages.
                for name in {passage, passage.removesuffix(f".{lang}")}:
                    if (name, lang) in present:
                        judged[_bare(query, languages), name, lang] = score
    rows = [(*key, score) for key, score in judged.items() if score > 0]
    return pl.DataFrame(rows, schema=QRELS, orient="row").sort("query", "passage", "lang")


def _bare(name: str, languages: list[str]) -> str:
    """An id without the language it may have for a suffix, as `_texts` reads ids."""
    return next((name.removesuffix(f".{lang}") for lang in languages if name.endswith(f".{lang}")), name)
