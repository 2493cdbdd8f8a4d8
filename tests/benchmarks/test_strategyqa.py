"""StrategyQA in Korean and English: as in BEIR, and put together from the releases."""

import pytest

from stages.shared.errors import UserError


def test_ko_strategyqa_as_published_is_korean_alone(publish, made):
    publish(
        {
            "corpus.jsonl": [{"_id": "A-1", "title": "가", "text": "하나"}, {"_id": "B-1", "title": "", "text": "둘"}],
            "queries.jsonl": [{"_id": "q", "text": "몇?"}, {"_id": "t", "text": "왜?"}],
            "qrels/dev.jsonl": [{"query-id": "q", "corpus-id": "A-1", "score": 1.0}],
            "qrels/train.jsonl": [{"query-id": "t", "corpus-id": "B-1", "score": 1.0}],
        }
    )
    found = made("strategyqa", ["ko"])
    assert found.queries == [("q", "ko", "몇?")]
    assert found.qrels == [("q", "A-1", "ko", 1)]
    assert [p for p, *_ in found.passages] == ["A-1", "B-1"]
    assert made("strategyqa", ["ko"], split="train").queries == [("t", "ko", "왜?")]


def releases(publish):
    evidence = [[[["A-1", "B-1"]], ["operation"]], [[["A-1"], "no_evidence"], [["C-1"]]]]
    publish(
        {
            "ko-strategy-qa_dev.json": {
                "q": {"question": "몇?", "evidence": evidence},
                "mute": {"question": "왜?", "evidence": [["no_evidence"]]},
                "new": {"question": "누구?", "evidence": [[[["B-1"]]]]},
            },
            "ko-strategy-qa_paragraphs.parquet": [
                {"key": f"{k}-1", "title": k, "content": f"en {k}", "ko-content": f"ko {k}"} for k in "ABC"
            ],
            "strategyqa_train.json": [
                {"qid": "q", "question": "how  many?", "evidence": []},
                {"qid": "z", "question": "?"},
            ],
        }
    )


def test_the_releases_are_put_together_by_their_ids(publish, made, caplog):
    releases(publish)
    found = made("strategyqa")
    assert found.passages == [(f"{k}-1", lang, "", f"{lang} {k}") for k in "ABC" for lang in ("en", "ko")]
    assert "left out" not in caplog.text
    # A question without evidence measures nothing; one that English lacks is asked in Korean alone.
    assert found.queries == [("new", "ko", "누구?"), ("q", "en", "how many?"), ("q", "ko", "몇?")]
    assert found.qrels == [
        (q, p, lang, 1) for q, p in (("new", "B-1"), ("q", "A-1"), ("q", "B-1"), ("q", "C-1")) for lang in ("en", "ko")
    ]


def test_a_release_that_is_not_whole(workspace, publish, made):
    releases(publish)
    (workspace.path / "published/strategyqa_train.json").unlink()
    assert {lang for _, lang, _ in made("strategyqa", ["ko"]).queries} == {"ko"}
    with pytest.raises(UserError, match=r"has no strategyqa_train\.json"):
        made("strategyqa")
    publish({"strategyqa_train.json": "7"})
    with pytest.raises(UserError, match=r"strategyqa_train\.json is not in the layout"):
        made("strategyqa")
