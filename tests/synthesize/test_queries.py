"""Queries for passages, in each language or written once and translated."""

import json

from tests.fakes.endpoint import Endpoint
from tests.synthesize.writing import replies


def test_queries_are_written_in_each_language(workspace):
    workspace.corpus([("a", "train"), ("b", "dev")])
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=3).run("synthesize")
    asked = replies(endpoint)
    wanted = []
    for name in "ab":
        for lang in ("en", "ko"):
            (found,) = [r["queries"] for p, r in asked.items() if p.endswith(f"Passage: {name}|{lang}")]
            wanted += [(f"{name}#q{n}", lang, text) for n, text in enumerate(found, 1)]
    assert workspace.written("queries").rows() == sorted(wanted)
    assert workspace.written("qrels").rows() == [(f"{p}#q{n}", p, 1) for p in "ab" for n in (1, 2, 3)]


def test_queries_written_once_are_translated_and_have_one_number(workspace):
    workspace.corpus([("a", "train"), ("b", "dev")])
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__queries__written="once")
        workspace.run("synthesize")
    asked = replies(endpoint)
    assert len(asked) == 4
    wanted = []
    for name in "ab":
        (english,) = [r["queries"] for p, r in asked.items() if p.endswith(f"Passage: {name}|en")]
        (korean,) = [r["texts"] for p, r in asked.items() if p.endswith(json.dumps(english))]
        for lang, texts in (("en", english), ("ko", korean)):
            wanted += [(f"{name}#q{n}", lang, text) for n, text in enumerate(texts, 1)]
    assert workspace.written("queries").rows() == sorted(wanted)
    assert not [prompt for prompt in asked if "|ko" in prompt]
