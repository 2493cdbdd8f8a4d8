"""What the stage's tests share: collections to write for, and what an endpoint's model wrote."""

import json

import pytest

from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.fakes.writer import write

REPLIES = ROOT / "data/collection/replies.jsonl"
TOPICS = [{"id": str(n), "topic": {"en": f"Topic {n}", "ko": f"주제 {n}"}} for n in range(6)]
HINGLISH = {"hinglish": {"of": "queries", "source": "en", "target": "hi-Latn"}}
APOLOGY = "I'm sorry, but as an AI language model I cannot help with that."
LATIN = "only latin letters here, and nothing but words in english"


def first_message(body):
    return body["messages"][0]["content"]


def replies(endpoint):
    """What the endpoint's model wrote, by prompt."""
    return {first_message(r.body): json.loads(write(r.body)) for r in endpoint.requests}


def spoiling(spoil):
    """A writer whose texts are `spoil`ed: it is called with a prompt and the reply, which it may change."""

    def writer(body):
        reply = json.loads(write(body))
        spoil(first_message(body), reply)
        return json.dumps(reply, ensure_ascii=False)

    return writer


def topical(workspace, endpoint, per_topic=1, **changes):
    """Triples of a corpus that has nothing of its own."""
    workspace.asks(endpoint, corpus__source="none", synthesize__topics__per_topic=per_topic, **changes)
    workspace.run("corpus")
    workspace.run("synthesize")


def english(workspace, endpoint, **changes):
    """A corpus in English alone, of which synthesize makes one in Korean too."""
    rows = [
        {"id": n, "title_en": f"Title {n}" if n != "c" else "", "text_en": f"Text {n} has some words in it. " * 3}
        for n in "abcde"
    ]
    workspace.jsonl("in.jsonl", rows)
    columns = {"id": "id", "title": "title_{lang}", "text": "text_{lang}", "stratum": None}
    into = {"korean": {"of": "passages", "source": "en", "target": "ko"}}
    settings = {"corpus__path": "in.jsonl", "corpus__columns": columns, "corpus__languages": ["en"]}
    settings |= {"synthesize__translations": into}
    workspace.asks(endpoint, **settings | changes).run("corpus")


def recorded(workspace, limit):
    """The shipped collection's first passages."""
    path = str(ROOT / "data/collection/passages.jsonl")
    workspace.edit(corpus__path=path, corpus__limit=limit, llm__recorded=str(REPLIES)).run("corpus")


def everything(workspace):
    """The bytes of all that the stage writes."""
    files = [*(workspace.path / "data/synthetic").iterdir(), workspace.path / "metrics/synthesis.json"]
    return {file.name: file.read_bytes() for file in files}


def report(workspace):
    return json.loads((workspace.path / "metrics/synthesis.json").read_text(encoding="utf-8"))


def refused(workspace, *arguments):
    """The one sentence that the stage ends with."""
    with pytest.raises(UserError) as caught:
        workspace.run("synthesize", *arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def change(file, before="Write ", after="Please write "):
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
