"""What is kept together: a text that is left out takes what belongs to it along."""

import json

import pytest

from stages.shared.errors import UserError
from tests.fakes.endpoint import Endpoint
from tests.synthesize.writing import APOLOGY, HINGLISH, LATIN, TOPICS, english, spoiling, topical


def counted(workspace):
    """What metrics/synthesis.json counts of each job, without noughts; checked against what is listed."""
    report = json.loads((workspace.path / "metrics/synthesis.json").read_text(encoding="utf-8"))["filters"]
    for job, counts in report.items():
        listed = workspace.written("dropped").filter(job=job)["filter"].to_list()
        reasons = [name for name in counts if name not in ("texts", "kept")]
        assert [counts[name] for name in reasons] == [listed.count(name) for name in reasons]
        assert counts["texts"] == counts["kept"] + len(listed)
    return {job: {name: count for name, count in counts.items() if count} for job, counts in report.items()}


def test_a_query_goes_in_every_language_if_it_is_spoilt_in_one(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|en"):
            reply["queries"][0] = APOLOGY
        if prompt.endswith("Passage: b|ko"):
            reply["queries"][1] = LATIN

    workspace.corpus([(name, "train") for name in "abc"])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2).run("synthesize")
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [
        ("a#q1", "en", "boilerplate"),
        ("a#q1", "ko", "parallel"),
        ("b#q2", "en", "parallel"),
        ("b#q2", "ko", "script"),
    ]
    kept = ["a#q2", "b#q1", "c#q1", "c#q2"]
    assert workspace.written("queries").select("query", "lang").rows() == [(q, g) for q in kept for g in ("en", "ko")]
    assert workspace.written("qrels").rows() == [(q, q[0], 1) for q in kept]
    assert counted(workspace) == {
        "queries": {"texts": 12, "script": 1, "boilerplate": 1, "parallel": 2, "kept": 8},
    }


def test_a_query_that_one_language_lacks_goes_in_the_others(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|ko"):
            del reply["queries"][1:]

    workspace.corpus([("a", "train"), ("b", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, llm__reasks=1).run("synthesize")
        assert len(endpoint.requests) == 5  # asked again once
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [("a#q2", "en", "parallel")]
    assert workspace.written("queries")["query"].unique(maintain_order=True).to_list() == ["a#q1", "b#q1", "b#q2"]


def test_a_triple_goes_as_a_whole(workspace, topics):
    topics(TOPICS)

    def spoil(prompt, reply):
        if "topic: Topic 3." in prompt:
            reply["hard_negative"] = APOLOGY

    with Endpoint(writer=spoiling(spoil)) as endpoint:
        topical(workspace, endpoint)
    dropped = workspace.written("dropped")
    assert counted(workspace) == {"topics": {"texts": 36, "boilerplate": 1, "parallel": 5, "kept": 30}}
    assert dropped.filter(filter="boilerplate").select("item", "lang").rows() == [("mine-3-1#negative", "en")]
    assert set(dropped.filter(filter="parallel")["item"]) == {
        f"mine-3-1#{k}" for k in ("query", "positive", "negative")
    }
    for name, column in (("passages", "passage"), ("queries", "query"), ("qrels", "query")):
        found = workspace.written(name)[column]
        assert found.str.split("#").list.first().unique().sort().to_list() == [f"mine-{n}-1" for n in (0, 1, 2, 4, 5)]


def test_a_hard_negative_that_is_the_positive_again_costs_the_triple(workspace, topics):
    topics(TOPICS)

    def spoil(prompt, reply):
        if "topic: Topic 3." in prompt:
            reply["hard_negative"] = reply["positive"]

    with Endpoint(writer=spoiling(spoil)) as endpoint:
        topical(workspace, endpoint, llm__reasks=1)
        assert len(endpoint.requests) == 6 + 1 + 6
    assert workspace.written("dropped").height == 6
    assert workspace.written("queries").height == 10


def test_a_translation_goes_with_the_query_that_it_translates(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|ko"):
            reply["queries"][1] = LATIN

    workspace.corpus([("a", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__translations=HINGLISH)
        workspace.run("synthesize")
    assert workspace.written("queries").select("query", "lang").rows() == [("a#q1", g) for g in ("en", "hi-Latn", "ko")]
    assert workspace.written("dropped").select("job", "item", "lang", "filter").rows() == [
        ("hinglish", "a#q2", "hi-Latn", "parallel"),
        ("queries", "a#q2", "en", "parallel"),
        ("queries", "a#q2", "ko", "script"),
    ]
    assert counted(workspace) == {
        "queries": {"texts": 4, "script": 1, "parallel": 1, "kept": 2},
        "hinglish": {"texts": 2, "parallel": 1, "kept": 1},
    }


def test_a_query_stays_if_its_translation_into_a_further_language_is_spoilt(workspace):
    def spoil(prompt, reply):
        if "into Hinglish" in prompt:
            reply["texts"][0] = APOLOGY

    workspace.corpus([("a", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__translations=HINGLISH)
        workspace.run("synthesize")
    assert workspace.written("dropped").select("item", "lang", "filter").rows() == [("a#q1", "hi-Latn", "boilerplate")]
    assert workspace.written("queries").height == 5


def test_passages_of_which_none_is_left_in_a_language_are_told(workspace):
    def spoil(prompt, reply):
        if "into Korean" in prompt:
            reply["texts"] = [LATIN] * len(reply["texts"])

    with Endpoint(writer=spoiling(spoil)) as endpoint:
        english(workspace, endpoint, llm__reasks=0)
        with pytest.raises(UserError, match=r"no passage in ko is left: data/synthetic/dropped\.parquet lists"):
            workspace.run("synthesize")
    assert workspace.written("dropped").select("item", "filter").rows() == [(name, "script") for name in "abcde"]


def test_a_reply_without_a_query_is_a_failure(workspace):
    def spoil(prompt, reply):
        if prompt.endswith("Passage: a|ko"):
            reply["queries"].clear()

    workspace.corpus([("a", "train"), ("b", "train")])
    with Endpoint(writer=spoiling(spoil)) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=1, llm__reasks=1, llm__max_failed=0.25)
        workspace.run("synthesize")
    ((job, task, reason),) = workspace.written("failures").rows()
    assert (job, task) == ("queries", "a in ko")
    assert reason.startswith("no usable reply in 2 tries: ")
    assert set(workspace.written("queries")["query"]) == {"b#q1"}
