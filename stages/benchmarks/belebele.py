"""Belebele (arXiv 2308.16884): facebook/belebele, revision 75b399394a9803252cfec289d103de462763db7c, `data/<FLORES
code>.jsonl`; Belebele.zip and MTEB's copy (mteb/belebele) have the same rows.

A passage is named by its `link`, which occurs with each of its questions, and a question by link and number: 900
questions and 488 passages, parallel in all languages.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.benchmarks.parts import Parts, by_language
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QUERIES
from stages.schemas.texts import QRELS
from stages.shared import jsonl, records
from stages.shared.codes import Wanted

FILES = r"(?P<lang>[a-z]{3}_[A-Z][a-z]{3})(?:/[^/]+)?\.(?:jsonl(?:\.gz)?|parquet)"


def read(folder: Path, wanted: Wanted) -> Parts:
    passages: dict[tuple[str, str], tuple[str, ...]] = {}
    queries, judged = [], {}
    for lang, paths in by_language(folder, FILES, wanted, "data/<FLORES code>.jsonl").items():
        for path in paths:
            for place, row in records.rows(path):
                link = jsonl.text(row, "link", place)
                query = f"{link}#{jsonl.text(row, 'question_number', place)}"
                passages.setdefault((link, lang), (link, lang, "", jsonl.text(row, "flores_passage", place)))
                queries.append((query, lang, jsonl.text(row, "question", place)))
                judged[query] = (query, link, 1)
    return Parts(
        pl.LazyFrame(list(passages.values()), schema=BENCHMARK_PASSAGES, orient="row"),
        pl.DataFrame(queries, schema=BENCHMARK_QUERIES, orient="row"),
        pl.DataFrame(list(judged.values()), schema=QRELS, orient="row"),
    )
