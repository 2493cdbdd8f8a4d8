"""MIRACL (TACL 2023, arXiv 2210.09984): topics and qrels of miracl/miracl, the passages of miracl/miracl-corpus,
both beneath one folder (`data/fetch`, say). Its copies by MTEB (mteb/MIRACLRetrieval, revision
9c09abc13478308c27598f350e31d8f06b9b5481; MIRACLRetrievalHardNegatives, d7d94fa4b946cec4a27c84653aa0cf6b33f74a3c) are of
source beir.

Each language has questions and passages of its own, whose ids other languages use too: they get the language for a
prefix. Tasks across languages have no qrels, so only the mono-lingual ones and those of the pool are measured.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.benchmarks.parts import Parts, by_language, of_language
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.shared import jsonl, judgements, records, separated
from stages.shared.codes import Wanted
from stages.shared.errors import UserError


def read(folder: Path, wanted: Wanted, split: str | None) -> Parts:
    """Split dev, unless another is asked for."""
    split = split or "dev"
    topics, qrels, docs = (
        by_language(folder, pattern, wanted, layout)
        for pattern, layout in (
            (_file("topics", split), f"topics.miracl-v1.0-<language>-{split}.tsv"),
            (_file("qrels", split), f"qrels.miracl-v1.0-<language>-{split}.tsv"),
            (
                r"miracl-corpus-v1\.0-(?P<lang>[^/]+)/docs-\d+\.jsonl(?:\.gz)?",
                "miracl-corpus-v1.0-<language>/docs-0.jsonl.gz",
            ),
        )
    )
    passages, queries, judged = [], [], []
    for lang in topics:
        for what, found in (("qrels", qrels), ("passages", docs)):
            if lang not in found:
                raise UserError(
                    f"{folder} has topics in {lang}, but no {what}: add them, or remove {lang} from languages"
                )
        for path in topics[lang]:
            for _, (query, *text) in separated.fields(path):
                queries.append((of_language(query, lang), lang, " ".join(" ".join(text).split())))
        for path in qrels[lang]:
            judged += _judged(path, lang)
        passages.append(
            records.frame(
                (
                    (
                        of_language(jsonl.text(row, "docid", place), lang),
                        lang,
                        _title(row),
                        jsonl.text(row, "text", place),
                    )
                    for path in docs[lang]
                    for place, row in records.rows(path)
                ),
                BENCHMARK_PASSAGES,
            )
        )
    return Parts(
        pl.concat(passages).lazy(),
        pl.DataFrame(queries, schema=BENCHMARK_QUERIES, orient="row"),
        pl.DataFrame(judged, schema=BENCHMARK_QRELS, orient="row"),
    )


def _file(kind: str, split: str) -> str:
    return rf"{kind}\.miracl-v1\.0-(?P<lang>[^/]+)-{split}\.tsv"


def _title(row: dict) -> str:
    return " ".join(str(row.get("title") or "").split())


def _judged(path: Path, lang: str) -> list[tuple[str, str, str, int]]:
    found = []
    for place, fields in separated.fields(path):
        if len(fields) != 4:
            raise UserError(f"{place} is no judgement: write query, Q0, passage and relevance, tab-separated")
        relevance = judgements.relevance(fields[3], place)
        found.append((of_language(fields[0], lang), of_language(fields[2], lang), lang, relevance))
    return found
