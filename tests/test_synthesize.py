"""synthesize: requests, their keys, recorded replies."""

import json

import polars as pl
import pytest

from stages.shared import jsonl, tables
from stages.shared.errors import UserError
from stages.synthesize import replies, requests
from tests.conftest import ROOT

REPLIES = ROOT / "data/collection/replies.jsonl"
PASSAGE = {"passage": "p", "lang": "ko", "title": "T", "text": "Some text.", "stratum": "", "split": "train"}


def key(model="m", prompt="queries", count=2, **changes):
    table = pl.DataFrame([{**PASSAGE, **changes}], schema=tables.PASSAGES)
    return requests.for_passages(table, prompt, model, count)[0].key


def test_a_key_changes_with_all_that_is_sent(tmp_path, monkeypatch):
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    text = (requests.PROMPTS / "queries.md").read_text(encoding="utf-8")
    (prompts / "queries.md").write_text(text, encoding="utf-8")
    (prompts / "other.md").write_text(text.replace("Paraphrase", "Reword"), encoding="utf-8")
    monkeypatch.setattr(requests, "PROMPTS", prompts)
    seen = [key(), key("n"), key(count=3), key(lang="en"), key(title="U"), key(text="Other."), key(prompt="other")]
    assert len(set(seen)) == len(seen)
    assert key(passage="q", split="test", stratum="x") == seen[0]
    with pytest.raises(UserError, match=r"synthesize\.prompt is 'none', but prompts/ has other, queries"):
        key(prompt="none")


def test_a_request_asks_in_the_passages_language():
    table = pl.DataFrame([PASSAGE], schema=tables.PASSAGES)
    (request,) = requests.for_passages(table, "queries", "m", 2)
    (message,) = request.messages
    assert message["role"] == "user"
    assert "You write search queries in Korean " in message["content"]
    assert "Write 2 different Korean queries" in message["content"]
    assert message["content"].endswith("Title: T\nPassage: Some text.")


def shipped(workspace, **changes):
    """The shipped collection's corpus, in the workspace."""
    path = str(ROOT / "data/collection/passages.jsonl")
    workspace.edit(corpus__path=path, llm__recorded=str(REPLIES)).edit(**changes).run("corpus")


def test_shipped_requests_and_shipped_replies_are_one_to_one(workspace):
    shipped(workspace)
    passages = tables.read("data/corpus/passages.parquet", tables.PASSAGES)
    asked = requests.for_passages(passages, "queries", "isogloss-mini", 2)
    recorded = {row["key"]: row for _, row in jsonl.rows(REPLIES)}
    assert len(asked) == 1200
    assert {r.key for r in asked} == set(recorded)
    for request in asked:
        assert (request.passage, request.lang) == (recorded[request.key]["passage"], recorded[request.key]["lang"])


def test_every_shipped_reply_becomes_two_queries_of_its_passage(workspace):
    shipped(workspace, corpus__limit=30)
    workspace.run("synthesize")
    queries = tables.read("data/synthetic/queries.parquet", tables.QUERIES)
    judgements = tables.read("data/synthetic/judgements.parquet", tables.JUDGEMENTS)
    assert queries.height == 30 * 2 * 2
    assert judgements.height == 30 * 2
    by_place = {(row["passage"], row["lang"]): json.loads(row["reply"])["queries"] for _, row in jsonl.rows(REPLIES)}
    for query, lang, text in queries.iter_rows():
        passage, number = query.split("#q")
        assert text == by_place[passage, lang][int(number) - 1]
    assert all(query.startswith(f"{passage}#q") for query, passage, _ in judgements.iter_rows())


def small(workspace, answers, count=2):
    """A corpus of one passage, and replies to its requests: {language: reply}."""
    workspace.corpus([("p", "train")])
    table = tables.read("data/corpus/passages.parquet", tables.PASSAGES)
    asked = requests.for_passages(table, "queries", "isogloss-mini", count) if count else []
    rows = [{"key": r.key, "reply": answers[r.lang]} for r in asked if r.lang in answers]
    workspace.jsonl("replies.jsonl", rows)
    workspace.edit(llm__recorded="replies.jsonl", synthesize__queries_per_passage=count)


GOOD = '{"queries": ["a", "b"]}'


def test_a_missing_reply_is_one_sentence_that_names_it(workspace):
    small(workspace, {"en": GOOD})
    with pytest.raises(UserError, match=r"no reply to 1 of 2 requests \(the first: passage 'p' in ko\)") as caught:
        workspace.run("synthesize")
    assert len(str(caught.value).splitlines()) == 1
    small(workspace, {"en": GOOD, "ko": GOOD})
    workspace.edit(llm__model="another")
    with pytest.raises(UserError, match="no reply to 2 of 2"):
        workspace.run("synthesize")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Sure! Here are two.", "not the JSON asked for"),
        ('{"queries": "a"}', "not the JSON asked for"),
        ('{"queries": ["a", "b"], "note": "x"}', "not the JSON asked for"),
        ('{"queries": ["a", " "]}', "not the JSON asked for"),
        ('{"queries": []}', "not the JSON asked for"),
        ('{"queries": ["a"]}', "1 queries where 2 were asked for"),
        ('{"queries": ["a", "b", "c"]}', "3 queries where 2 were asked for"),
        ('{"queries": ["a", " a"]}', "the same query twice"),
        (json.dumps({"queries": ["a", "b" * 301]}), "a query of 301 characters"),
    ],
)
def test_a_reply_that_cannot_be_used_is_refused_with_its_reason(workspace, reply, reason):
    small(workspace, {"en": GOOD, "ko": reply})
    with pytest.raises(UserError, match="1 of 2 replies cannot be used, the first is passage 'p' in ko: ") as caught:
        workspace.run("synthesize")
    assert reason in str(caught.value)


def test_queries_are_stripped():
    assert replies.queries('{"queries": [" a ", "b"]}', 2, 1) == ["a", "b"]


def test_a_line_that_is_no_reply_is_named(workspace):
    small(workspace, {"en": GOOD, "ko": GOOD})
    workspace.jsonl("replies.jsonl", [{"key": "k"}])
    with pytest.raises(UserError, match=r"replies\.jsonl:1 is no recorded reply"):
        workspace.run("synthesize")


def test_no_queries_give_empty_tables_and_need_no_replies(workspace):
    small(workspace, {}, count=0)
    (workspace.path / "replies.jsonl").unlink()
    workspace.run("synthesize")
    assert tables.read("data/synthetic/queries.parquet", tables.QUERIES).is_empty()
    assert tables.read("data/synthetic/judgements.parquet", tables.JUDGEMENTS).is_empty()
