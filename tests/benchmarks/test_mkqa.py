"""MKQA: a passage is relevant if it holds an answer's words in a row."""

import polars as pl
import pytest

from stages.benchmarks import mkqa
from stages.shared.errors import UserError


def question(name, kind, *answers, queries=None):
    told = [{"type": kind, "text": text, "aliases": list(aliases)} for text, *aliases in answers]
    asked = queries or {"en": f"{name} en", "ko": f"{name} ko", "zh_cn": f"{name} zh"}
    return {"example_id": name, "queries": asked, "query": "x", "answers": {"en": told, "ko": [], "zh_cn": []}}


QUESTIONS = [
    question(-5, "entity", ("Dave Edmunds", "D. Edmunds")),
    question(2, "number", ("4.0",)),
    question(3, "unanswerable", (None,)),
    question(4, "binary", ("yes",)),
    question(5, "entity", ("Nobody Known",)),
    question(6, "date", (" ",), ("José",)),
    question(7, "short_phrase", ("years older",)),
    question(8, "short_phrase", ("older than",)),
]
CORPUS = [
    {"_id": "a", "title": "Song", "text": "It is by dave\u00a0EDMUNDS, yes."},
    {"_id": "b", "title": "D.", "text": "Edmunds is 4.0 years older than Dave Edmundson"},
    {"_id": "c", "title": "", "text": "14.0 or 4.05, says Jose\u0301's brother"},
]


def test_answers_in_passages_are_qrels(publish, made, caplog):
    caplog.set_level("INFO")
    publish({"mkqa.jsonl.gz": QUESTIONS, "nq/corpus.jsonl": CORPUS})
    found = made("mkqa", ["en", "ko", "zh"])
    assert [p for p, *_ in found.passages] == ["a", "b", "c"]
    assert {lang for _, lang, *_ in found.passages} == {"en"}
    # A name across title and text is found as DPR finds it; 4.0 is neither in 14.0 nor in 4.05; José is not Jose.
    right = [("-5", "a"), ("-5", "b"), ("2", "b"), ("6", "c"), ("7", "b"), ("8", "b")]
    assert found.qrels == [(name, passage, "en", 1) for name, passage in right]
    assert {(q, lang) for q, lang, _ in found.queries} == {
        (q, lang) for q in ("-5", "2", "6", "7", "8") for lang in ("en", "ko", "zh")
    }
    assert ("2", "zh", "2 zh") in found.queries
    assert "1 of 6 questions are answered in no passage" in caplog.text


def test_words_are_those_of_dpr():
    text = "In 1999, Dave's “A-1” naïve ㅎ한글\t4.0 \u0007x"
    (found,) = pl.DataFrame({"t": [text]}).select(mkqa.words(pl.col("t")))["t"]
    assert [w for w in found.split(" ") if w][:9] == ["in", "1999", ",", "dave", "'", "s", "“", "a", "-"]
    assert found.endswith(" 4 . 0 x ")
    assert " nai\u0308ve " in found


def test_without_a_corpus_or_the_questions(publish, made):
    publish({"mkqa.jsonl": QUESTIONS})
    with pytest.raises(UserError, match=r"none of corpus\.en\.jsonl"):
        made("mkqa", ["en"])
    with pytest.raises(UserError, match=r"nowhere is no folder"):
        made("mkqa", ["en"], path="nowhere")
    publish({"copy/mkqa.jsonl.gz": QUESTIONS})
    with pytest.raises(UserError, match=r"mkqa\.jsonl\.gz more than once"):
        made("mkqa", ["en"])
