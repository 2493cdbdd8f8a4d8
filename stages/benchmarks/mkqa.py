"""MKQA (arXiv 2007.15207) as retrieval from a corpus in another language: `dataset/mkqa.jsonl.gz` of the repository
apple/ml-mkqa, and beside it a corpus in BEIR's layout; for published figures (BGE-M3, arXiv 2402.03216, section 4.3)
that of NQ in English: BeIR/nq, or mteb/nq, revision b774495ed302d8c44a3a7ea25c90dbce03968f31.

Questions without a short answer (unanswerable, binary, long_answer) are left out. A passage is relevant if it holds one
of the question's answers in the passage's language: the words of the answer in a row, as DPR's tokenizer finds them,
whatever their case. Published "Recall@k" is the share of questions with such a passage among the first k: our
accuracy@k. It counts questions that no passage answers as misses; here they are left out, and counted.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl

from stages.benchmarks.parts import Parts, one
from stages.schemas.benchmarks import BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.shared import beir, jsonl
from stages.shared.codes import Wanted

log = logging.getLogger("benchmarks")
SHORT = ("entity", "date", "number", "number_with_unit", "short_phrase")
# Passages that are searched for answers at once.
SLICE = 100_000


def read(folder: Path, wanted: Wanted) -> Parts:
    file = one(folder, r"mkqa\.jsonl(?:\.gz)?", "mkqa.jsonl.gz")
    corpus = beir.corpus(folder, wanted, next(iter(wanted.each(["en"], str(folder))), "en"))
    queries: list[tuple[str, str, str]] = []
    answers: list[tuple[str, str, str]] = []
    for place, row in jsonl.rows(file):
        if not any(answer["type"] in SHORT for answer in row["answers"]["en"]):
            continue
        name = jsonl.text(row, "example_id", place)
        for lang, spelling in wanted.each(row["queries"], str(file)).items():
            queries.append((name, lang, jsonl.text(row["queries"], spelling, place)))
            answers += [(name, lang, text) for text in _texts(row["answers"].get(spelling) or [])]
    asked = pl.DataFrame(queries, schema=BENCHMARK_QUERIES, orient="row")
    told = pl.DataFrame(answers, schema=BENCHMARK_QUERIES, orient="row")
    qrels = pl.concat([_judged(own, told.filter(lang=lang)) for (lang,), own in corpus.group_by("lang")])
    unanswered = asked["query"].n_unique() - qrels["query"].n_unique()
    log.info(f"MKQA: {unanswered:,} of {asked['query'].n_unique():,} questions are answered in no passage and left out")
    return Parts(corpus.lazy(), asked, qrels, left_out={"questions that no passage answers": unanswered})


def _texts(answers: list[dict[str, Any]]) -> list[str]:
    texts = (text for answer in answers for text in (answer.get("text"), *answer.get("aliases", [])))
    return [text for text in texts if text and text.strip()]


def words(text: pl.Expr) -> pl.Expr:
    """The words of DPR's tokenizer, lower-cased, each between spaces: runs of letters, digits and marks, or one other
    character that is neither space nor control character."""
    spaced = text.str.normalize("NFD").str.to_lowercase().str.replace_all(r"([\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}])", " $1 ")
    return spaced.str.replace_all(r"[\p{Z}\p{C}]+", " ")


def _judged(corpus: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Each question (BENCHMARK_QUERIES with its answers) with the passages that hold one of them."""
    answers = answers.select("query", answer=words(pl.col("text"))).filter(pl.col("answer").str.strip_chars() != "")
    wanted = answers["answer"].unique().sort()
    found = [pl.DataFrame(schema=BENCHMARK_QRELS)]
    for part in corpus.iter_slices(SLICE) if len(wanted) else ():
        text = words(pl.concat_str("title", pl.lit(" "), "text"))
        held = part.select("passage", "lang", answer=text.str.extract_many(wanted.implode(), overlapping=True))
        held = held.explode("answer", empty_as_null=False).join(answers, on="answer").unique(["query", "passage"])
        found.append(held.select("query", "passage", "lang", relevance=pl.lit(1, pl.Int32)))
    return pl.concat(found)
