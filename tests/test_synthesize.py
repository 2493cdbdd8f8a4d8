"""synthesize: the shipped replies, prompts and taxonomies, what is kept, failures, dry runs, recordings."""

import json

import polars as pl
import pytest

from stages.shared import jsonl, tables
from stages.shared.errors import UserError
from stages.synthesize import prompts, taxonomy
from tests.conftest import ROOT, SYNTHETIC, Workspace
from tests.endpoint import Endpoint

REPLIES = ROOT / "data/collection/replies.jsonl"


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


def prompt(body):
    return body["messages"][0]["content"]


def prompts_of(endpoint):
    return [prompt(request.body) for request in endpoint.requests]


# ── The shipped collection ──


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A workspace with the shipped collection's queries; its recorded replies are recorded once more."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("shipped")
        monkeypatch.chdir(folder)
        workspace = Workspace(folder, monkeypatch)
        workspace.edit(corpus__path=str(ROOT / "data/collection/passages.jsonl"), llm__recorded=str(REPLIES))
        workspace.run("corpus")
        workspace.run("synthesize", "--record", "again.jsonl")
    return workspace


@pytest.fixture
def in_shipped(shipped, monkeypatch):
    monkeypatch.chdir(shipped.path)
    return shipped


def test_shipped_requests_and_shipped_replies_are_one_to_one(in_shipped):
    """What the study uses, recorded again, is the file that is shipped."""
    assert (in_shipped.path / "again.jsonl").read_bytes() == REPLIES.read_bytes()
    rows = [row for _, row in jsonl.rows(REPLIES)]
    passages = tables.read("data/corpus/passages.parquet", tables.PASSAGES)
    assert len({row["key"] for row in rows}) == len(rows) == 1200
    assert [row["task"] for row in rows] == [f"{p} in {lang}" for p, lang, *_ in passages.iter_rows()]
    assert report(in_shipped)["requests"] == {"queries": {"items": 1200, "failed": 0}}


def test_every_query_kept_is_that_of_the_recorded_reply(in_shipped):
    replied = {row["task"]: json.loads(row["content"])["queries"] for _, row in jsonl.rows(REPLIES)}
    queries = in_shipped.written("queries")
    for query, lang, text in queries.iter_rows():
        passage, number = query.split("#q")
        assert text == replied[f"{passage} in {lang}"][int(number) - 1]
    assert queries.group_by("query").agg(pl.col("lang").sort()).filter(pl.col("lang") != ["en", "ko"]).is_empty()
    assert set(in_shipped.written("judgements").iter_rows()) == {
        (name, name.split("#")[0], 1) for name in queries["query"]
    }
    for name in ("passages", "labelled", "failures"):
        assert in_shipped.written(name).is_empty()


def test_what_the_filters_left_out_is_counted_and_listed(in_shipped):
    counts = report(in_shipped)["filters"]["queries"]
    dropped = in_shipped.written("dropped")
    assert counts["texts"] == 2400 == counts["kept"] + dropped.height
    assert counts["kept"] == in_shipped.written("queries").height
    assert {name: n for name, n in counts.items() if n and name not in ("texts", "kept")} == dict(
        dropped["filter"].value_counts().iter_rows()
    )
    # Some of what was recorded says too much in its passage's words, and takes its translation with it.
    assert counts["copied"] == counts["parallel"] > 0
    lost = {row["item"]: row for row in dropped.filter(filter="copied").iter_rows(named=True)}
    for row in dropped.iter_rows(named=True):
        assert row["item"] in lost
        assert row["job"] == "queries"
        assert row["detail"]
    assert not set(lost) & set(in_shipped.written("queries")["query"])
    texts = {q for _, row in jsonl.rows(REPLIES) for q in json.loads(row["content"])["queries"]}
    assert set(dropped["text"]) <= texts


# ── Prompts and taxonomies ──


def change(file, before="Write ", after="Please write "):
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def recorded(workspace, limit):
    """The shipped collection's first passages."""
    path = str(ROOT / "data/collection/passages.jsonl")
    workspace.edit(corpus__path=path, corpus__limit=limit, llm__recorded=str(REPLIES)).run("corpus")


def test_a_changed_prompt_finds_no_recorded_reply(workspace, prompt_files):
    recorded(workspace, 3)
    workspace.run("synthesize")
    change(prompt_files / "queries.md")
    text = refused(workspace)
    assert f"{REPLIES} has no reply to 6 of 6 requests of queries (the first: kdc-010-01 in en)" in text
    assert "restore the prompt and the settings" in text


@pytest.mark.parametrize("changes", [{"llm__model": "m"}, {"llm__seed": 1}, {"llm__parameters": {"temperature": 0.5}}])
def test_a_reply_answers_the_settings_it_was_recorded_with(workspace, changes):
    recorded(workspace, 2)
    workspace.edit(**changes)
    assert "has no reply to 4 of 4 requests of queries" in refused(workspace)


def test_how_requests_are_sent_changes_no_reply(workspace):
    recorded(workspace, 2)
    workspace.run("synthesize")
    before = everything(workspace)
    workspace.edit(llm__mode="batch", llm__concurrency=1, llm__structured="none", llm__base_url="http://x", seed=2)
    workspace.run("synthesize")
    assert everything(workspace) == before


def test_a_replies_file_that_is_none_is_told(workspace):
    recorded(workspace, 2)
    workspace.edit(llm__recorded="replies.jsonl")
    assert "replies.jsonl is not there" in refused(workspace)
    workspace.jsonl("replies.jsonl", [{"key": "k", "content": "x"}, {"reply": "x"}])
    assert "replies.jsonl:2 is no recorded reply" in refused(workspace)


def test_no_queries_give_empty_tables(workspace):
    recorded(workspace, 2)
    workspace.edit(synthesize__queries__per_passage=0).run("synthesize")
    assert all(workspace.written(name).is_empty() for name in SYNTHETIC)
    assert report(workspace) == {"requests": {}, "filters": {}, "tokens": {"prompt": 0, "completion": 0}}


def test_a_request_asks_in_the_passages_language():
    values = {"language": prompts.Prompts({}).language("ko"), "count": 2, "title": "T", "text": "Some text."}
    text = prompts.Prompts({}).fill("key", "queries", **values)
    assert text.startswith("You write search queries in Korean for")
    assert "Write 2 different Korean queries" in text
    assert text.endswith("Title: T\nPassage: Some text.")


def test_a_prompt_that_is_not_there_is_told(workspace):
    recorded(workspace, 2)
    workspace.edit(synthesize__queries__prompt="querys")
    text = refused(workspace)
    assert "synthesize.queries.prompt is 'querys', but prompts/ has labelled, queries, translate, triple" in text


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"Text: {{ text", ["mine.md:1 is no Jinja template"]),
        (b"\n\n{% if text %}", ["mine.md:3 is no Jinja template"]),
        (b"{{ text | shout }}", ["mine.md:1 is no Jinja template", "'shout'"]),
        (
            b"{{ txt }}",
            ["mine.md: 'txt' is undefined", "synthesize.queries.prompt may use count, language, text, title"],
        ),
        (b"{{ text.body }}", ["mine.md: ", "'body'", "may use count, language, text, title"]),
        (b"{{ count / 0 }}", ["mine.md cannot be filled in", "division by zero"]),
        (b"{% include 'queries.md' %}", ["mine.md cannot be filled in"]),
        (b"\xff{{ text }}", ["mine.md is not UTF-8"]),
    ],
)
def test_a_prompt_that_is_no_template_is_told(workspace, prompt_files, content, parts):
    recorded(workspace, 2)
    (prompt_files / "mine.md").write_bytes(content)
    workspace.edit(synthesize__queries__prompt="mine")
    text = refused(workspace)
    for part in parts:
        assert part in text, text


def test_a_prompt_of_ones_own_is_used(workspace, prompt_files):
    workspace.corpus([("a", "train")])
    mine = 'Ask {{ count }} times in {{ language }} about "{{ text }}".\n'
    (prompt_files / "mine.md").write_text(mine, encoding="utf-8")
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=2, synthesize__queries__prompt="mine")
        workspace.edit(llm__max_failed=1.0, llm__reasks=0).run("synthesize")
    wanted = ['Ask 2 times in English about "a|en".', 'Ask 2 times in Korean about "a|ko".']
    assert sorted(prompts_of(endpoint)) == wanted


def test_the_shipped_taxonomy_is_read_in_korean_and_in_english():
    topics = taxonomy.read("kdc")
    assert len({topic.id for topic in topics}) == len(topics) > 90
    by_id = {topic.id: topic for topic in topics}
    assert by_id["010"].name("en") == "Books and bibliography (General works)"
    assert by_id["010"].name("ko") == "도서학, 서지학 (총류)"
    assert by_id["010"].name("hi-Latn") == by_id["010"].name("en")
    for topic in topics:
        assert set(topic.topic) == set(topic.group) == {"en", "ko"}
        assert topic.topic["ko"] != topic.topic["en"]


def test_a_topic_may_be_one_text_for_all_languages(topics):
    topics([{"id": 7, "topic": "Bees"}, {"id": "x", "topic": {"ko": "벌"}, "class": "Insects"}])
    assert [topic.name(lang) for topic in taxonomy.read("mine") for lang in ("en", "ko")] == [
        "Bees",
        "Bees",
        "벌 (Insects)",
        "벌 (Insects)",
    ]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([], ["mine.jsonl has no topics"]),
        ([{"topic": "x"}], ["mine.jsonl:1 has no 'id'"]),
        ([{"id": "", "topic": "x"}], ["mine.jsonl:1: the id '' is empty"]),
        ([{"id": "1", "topic": "x"}, {"id": "1", "topic": "y"}], ["mine.jsonl:2: the id '1'", "comes twice"]),
        ([{"id": "1"}], ["mine.jsonl:1: 'topic' holds None: write a text"]),
        ([{"id": "1", "topic": {}}], ["mine.jsonl:1: 'topic' holds {}"]),
        ([{"id": "1", "topic": {"en": " "}}], ["mine.jsonl:1: 'topic' holds {'en': ' '}"]),
        ([{"id": "1", "topic": ["x"]}], ["mine.jsonl:1: 'topic' holds ['x']"]),
        ([{"id": "1", "topic": "x", "class": 3}], ["mine.jsonl:1: 'class' holds 3"]),
    ],
)
def test_a_taxonomy_that_cannot_be_used_is_told(workspace, topics, rows, parts):
    topics(rows)
    workspace.corpus([("a", "train")])
    workspace.edit(synthesize__topics__per_topic=1, llm__recorded=str(REPLIES))
    text = refused(workspace)
    for part in parts:
        assert part in text, text


def test_a_taxonomy_that_is_not_there_is_told(workspace):
    workspace.corpus([("a", "train")])
    workspace.edit(synthesize__topics__taxonomy="ddc", synthesize__topics__per_topic=1, llm__recorded=str(REPLIES))
    assert "synthesize.topics.taxonomy is 'ddc', but taxonomies/ has kdc: name one" in refused(workspace)
