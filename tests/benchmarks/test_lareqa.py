"""XQuAD-R and MLQA-R: sentences as passages, the one in which the answer begins as the right one."""

import pytest

from stages.shared.errors import UserError


def article(context, breaks, questions):
    """`questions`: (id, text, where the answer begins)."""
    return {
        "title": "t",
        "paragraphs": [
            {
                "context": context,
                "qas": [
                    {"id": name, "question": text, "answers": [{"text": "x", "answer_start": at}]}
                    for name, text, at in questions
                ],
                "sentence_breaks": breaks,
                "sentences": [context[a:b] for a, b in breaks],
            }
        ],
    }


ENGLISH = {"data": [article("One is here. Two  is.", [[0, 12], [13, 21]], [("q2", "where?", 4), ("q1", "two?", 13)])]}
# The same paragraph in one sentence more, as translations are.
KOREAN = {"data": [article("하나. 여기. 둘.", [[0, 3], [4, 7], [8, 10]], [("q2", "어디?", 5), ("q1", "둘?", 8)])]}


def test_the_right_sentence_is_that_of_the_answer_in_each_language(publish, made):
    publish({"xquad-r/en.json": ENGLISH, "xquad-r/ko.json": KOREAN, "mlqa-dev-r/en.json": {"data": []}})
    found = made("xquad-r")
    assert found.passages == [
        ("q1#0", "en", "", "One is here."),
        ("q1#0", "ko", "", "하나."),
        ("q1#1", "en", "", "Two is."),
        ("q1#1", "ko", "", "여기."),
        ("q1#2", "ko", "", "둘."),
    ]
    assert found.queries == [("q1", "en", "two?"), ("q1", "ko", "둘?"), ("q2", "en", "where?"), ("q2", "ko", "어디?")]
    assert found.qrels == [
        ("q1", "q1#1", "en", 1),
        ("q1", "q1#2", "ko", 1),
        ("q2", "q1#0", "en", 1),
        ("q2", "q1#1", "ko", 1),
    ]


def test_a_folder_of_one_set_needs_no_other_above_it(publish, made):
    publish({"en.json": ENGLISH, "ko.json": KOREAN})
    assert len(made("xquad-r").qrels) == 4


def test_mlqa_asks_not_everything_in_each_language(publish, made):
    publish(
        {
            "mlqa-dev-r/en.json": {
                "data": [article("A b. C d.", [[0, 4], [5, 9]], [("m1", "a?", 0), ("m2", "c?", 5)])]
            },
            "mlqa-dev-r/de.json": {"data": [article("E f. C d.", [[0, 4], [5, 9]], [("m2", "c, was?", 7)])]},
        }
    )
    found = made("mlqa-r", ["de", "en"])
    assert found.queries == [("m1", "en", "a?"), ("m2", "de", "c, was?"), ("m2", "en", "c?")]
    assert found.qrels == [("m1", "m1#0", "en", 1), ("m2", "m1#1", "en", 1), ("m2", "m2#1", "de", 1)]
    assert [p for p, lang, *_ in found.passages if lang == "de"] == ["m2#0", "m2#1"]


def test_an_answer_in_a_gap_belongs_to_the_sentence_before(publish, made):
    publish({"en.json": {"data": [article("  A. B.", [[2, 4], [5, 7]], [("a", "?", 0), ("b", "?", 4)])]}})
    assert made("xquad-r", ["en"]).qrels == [("a", "a#0", "en", 1), ("b", "a#0", "en", 1)]


def test_a_sentence_that_one_language_lacks_is_judged_in_the_others(publish, made, caplog):
    korean = article("하나. 여기. 둘.", [[0, 3], [3, 3], [8, 10]], [("q2", "어디?", 5), ("q1", "둘?", 8)])
    publish({"en.json": ENGLISH, "ko.json": {"data": [korean]}})
    found = made("xquad-r")
    assert ("q1#1", "ko") not in {passage[:2] for passage in found.passages}
    assert [(p, lang) for q, p, lang, _ in found.qrels if q == "q2"] == [("q1#0", "en")]
    assert "left out: 1 qrels of passages that are not there" in caplog.text


def test_the_hubs_copy_has_no_sentences(publish, made):
    publish({"en/validation-00000-of-00001.parquet": [{"id": "a", "context": "A. B.", "question": "?"}]})
    with pytest.raises(
        UserError, match="questions without sentences, as the hub's xquad_r: take the folder xquad-r of"
    ):
        made("xquad-r", ["en"])


def test_what_is_not_of_lareqa_is_told(publish, made):
    publish({"xquad-r/en.json": {"data": [{"paragraphs": [{"context": "x", "qas": []}]}]}})
    with pytest.raises(
        UserError, match=r"en\.json is not in the layout of LAReQA \(the field 'sentences' is missing\)"
    ):
        made("xquad-r", ["en"])
    publish({"xquad-r/en.json": "[1, 2"})
    with pytest.raises(UserError, match="is not in the layout of LAReQA"):
        made("xquad-r", ["en"])
    with pytest.raises(UserError, match=r"has no mlqa-r/<language>\.json in en"):
        made("mlqa-r", ["en"])
