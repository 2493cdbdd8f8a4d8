"""Sets in the layout of SQuAD: paragraphs of one name in all languages, questions, and what is refused."""

import json
from pathlib import Path

import pytest

from stages.shared.errors import UserError


def asked(name, lang, text, answers=({"text": "x", "answer_start": 0},), **more):
    return {"id": name, "question": f"{lang} {text}", "answers": list(answers), **more}


def release(lang):
    """Two paragraphs of one article, the second of which is asked something that it does not answer."""
    first = {"context": f"{lang}  one", "qas": [asked("q2", lang, "b?"), asked("q1", lang, "a?")]}
    second = {
        "context": f"{lang} two",
        "qas": [asked("q3", lang, "c?"), asked("q4", lang, "d?", (), is_impossible=True)],
    }
    return {"version": "1.1", "data": [{"title": "Super_Bowl", "paragraphs": [first, second]}]}


def flat(lang):
    """The same as the hub has it."""
    texts = {"q1": ("one", "a?"), "q2": ("one", "b?"), "q3": ("two", "c?"), "q4": ("two", "d?")}
    return [
        {
            "id": name,
            "title": "Super_Bowl",
            "context": f"{lang} {text}",
            "question": f"{lang} {question}",
            "answers": {"text": [] if name == "q4" else ["x"], "answer_start": [] if name == "q4" else [0]},
        }
        for name, (text, question) in texts.items()
    ]


EXPECTED = (
    [(p, lang, "Super Bowl", f"{lang} {t}") for p, t in (("q1", "one"), ("q3", "two")) for lang in ("en", "ko")],
    [(q, lang, f"{lang} {t}") for q, t in (("q1", "a?"), ("q2", "b?"), ("q3", "c?")) for lang in ("en", "ko")],
    [(q, p, lang, 1) for q, p in (("q1", "q1"), ("q2", "q1"), ("q3", "q3")) for lang in ("en", "ko")],
    [],
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("xquad.{}.json", release),
        ("MLQA_V1/test/test-context-{0}-question-{0}.json", release),
        ("xquad.{}/validation-00000-of-00001.parquet", flat),
        ("{}.jsonl", flat),
    ],
)
def test_a_paragraph_has_one_name_in_all_languages(publish, made, caplog, name, content):
    caplog.set_level("INFO")
    publish({name.format(lang): content(lang) for lang in ("en", "ko")})
    if "MLQA" in name:
        publish({"MLQA_V1/test/test-context-en-question-ko.json": release("en")})
    assert made("squad") == EXPECTED
    assert "2 questions that their paragraph does not answer are left out" in caplog.text
    counted = json.loads(Path("metrics/benchmarks/x.json").read_text())
    assert counted["left_out"] == {"questions that their paragraph does not answer": 2}
    # A paragraph has the id of one of its questions, and is not that question.
    assert counted["queries_among_passages"]["same_id_relevant"] == 0


def test_one_file_in_one_language(publish, made):
    publish({"KorQuAD_v1.0_dev.json": release("ko")})
    assert {lang for _, lang, *_ in made("squad", languages=["ko"]).passages} == {"ko"}
    publish({"KorQuAD_v1.0_train.json": release("ko")})
    assert len(made("squad", languages=["ko"], split="dev").queries) == 3


def test_paragraphs_that_languages_cut_otherwise_answer_their_own_questions(publish, made):
    en, ko = release("en"), release("ko")
    first = ko["data"][0]["paragraphs"][0]
    ko["data"][0]["paragraphs"].append({"context": "ko half", "qas": [first["qas"].pop(0)]})
    publish({"en.json": en, "ko.json": ko})
    assert [row for row in made("squad").qrels if row[0] == "q2"] == [("q2", "q1", "en", 1), ("q2", "q2", "ko", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"version": "1"}, r"ko\.json is not in the layout of SQuAD \(the field 'data' is missing\)"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, r"ko\.json: paragraph 0 of article 0 is not in .* 'context'"),
        (
            {"data": [{"paragraphs": [{"context": c, "qas": [asked("q", "ko", "a?")]} for c in ("a", "b")]}]},
            "paragraph 1 of article 0 repeats the question 'q' of .*paragraph 0",
        ),
        (["no object"], r"ko\.json:1 is no JSON object"),
    ],
)
def test_another_layout_is_told(publish, made, content, message):
    publish({"ko.json": content})
    with pytest.raises(UserError, match=message):
        made("squad", languages=["ko"])
