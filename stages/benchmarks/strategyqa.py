"""StrategyQA (TACL 2021, arXiv 2101.02235) in English and Korean: questions, and the paragraphs that were marked as
evidence for them. In one of two layouts:

- that of BEIR (`stages.shared.beir`), with a language in the files' names or Korean alone: taeminlee/Ko-StrategyQA,
  revision d243889a3eb6654029dbd7e7f9319ae31d58f97c, or mteb/Ko-StrategyQA; split dev;
- that of the releases, put together by their ids: `strategyqa_train.json` and `strategyqa_train_paragraphs.json` of
  StrategyQA for English, and, of NomaDamas/Ko-StrategyQA, `ko-strategy-qa_<split>.json` and
  `ko-strategy-qa_paragraphs.parquet`, which has the paragraphs in both languages. A question's evidence is that of all
  its annotators; the split (dev) is that of the Korean files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from stages.benchmarks.parts import Parts, one
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QUERIES
from stages.schemas.texts import QRELS
from stages.shared import beir, files, jsonl, records
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

PARAGRAPHS = "ko-strategy-qa_paragraphs.parquet"
CONTENT = {"en": "content", "ko": "ko-content"}


def read(folder: Path, wanted: Wanted, split: str | None) -> Parts:
    split = split or "dev"
    if not list(folder.rglob(PARAGRAPHS)):
        left_out: Counter[str] = Counter()
        passages, asked, qrels = beir.read(folder, wanted, split, left_out)
        return Parts(passages.lazy(), asked, qrels, left_out=left_out)
    named = {own: lang for lang, own in wanted.each(CONTENT, str(folder)).items()}
    korean = _questions(one(folder, rf"ko-strategy-qa_{split}\.json", f"ko-strategy-qa_{split}.json"))
    english = _questions(one(folder, r"strategyqa_train\.json", "strategyqa_train.json")) if "en" in named else {}
    queries = [
        (name, named[own], text)
        for own, questions in (("en", english), ("ko", korean))
        if own in named
        for name in korean
        if name in questions and (text := " ".join(str(questions[name]["question"]).split()))
    ]
    judged = [(name, passage, 1) for name, question in korean.items() for passage in _evidence(question)]
    return Parts(
        records.frame(_paragraphs(one(folder, PARAGRAPHS, PARAGRAPHS), named), BENCHMARK_PASSAGES).lazy(),
        pl.DataFrame(queries, schema=BENCHMARK_QUERIES, orient="row"),
        pl.DataFrame(judged, schema=QRELS, orient="row"),
    )


def _paragraphs(path: Path, named: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for place, row in records.rows(path):
        name = jsonl.text(row, "key", place)
        # Titles are in English alone.
        yield from ((name, lang, "", jsonl.text(row, CONTENT[own], place)) for own, lang in named.items())


def _questions(path: Path) -> dict[str, dict[str, Any]]:
    """Questions by id, of a list or of a mapping."""
    try:
        found = json.loads(files.text(path))
        return {str(q["qid"]): q for q in found} if isinstance(found, list) else dict(found.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is not in the layout of StrategyQA: take it from the release") from None


def _evidence(question: dict[str, Any]) -> list[str]:
    """Paragraphs' ids: of each annotator, of each step, in lists; the words operation and no_evidence stand beside."""
    steps = (step for annotator in question.get("evidence", []) for step in annotator)
    return sorted({name for step in steps for item in step if isinstance(item, list) for name in item})
