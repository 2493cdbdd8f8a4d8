"""synthesize: the shipped replies, prompts and taxonomies, what is kept, failures, dry runs, recordings."""

import json
import shutil
from collections import Counter

import polars as pl
import pytest

from stages.schemas.texts import LABELS, PASSAGES
from stages.shared import jsonl, tables
from stages.shared.errors import UserError
from stages.synthesize import __main__ as stage
from stages.synthesize import prompts, taxonomy
from stages.synthesize.rejected import FAILURES
from tests.conftest import KNOWLEDGE_BASE, ROOT, SYNTHETIC, Workspace, prompts_of
from tests.fakes.endpoint import Endpoint

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
    passages = tables.read("data/corpus/passages.parquet", PASSAGES)
    assert len({row["key"] for row in rows}) == len(rows) == 1200
    assert [row["task"] for row in rows] == [f"{p} in {lang}" for p, lang, *_ in passages.iter_rows()]
    assert report(in_shipped)["requests"] == {"queries": {"items": 1200, "failed": 0}}


def test_every_query_kept_is_that_of_the_recorded_reply(in_shipped):
    replied = {row["task"]: json.loads(row["content"])["queries"] for _, row in jsonl.rows(REPLIES)}
    queries = in_shipped.written("queries")
    for query, lang, text in queries.iter_rows():
        passage, number = query.split("#q")
        assert text == replied[f"{passage} in {lang}"][int(number) - 1]
    names = set(queries["query"])
    assert queries.select("query", "lang").rows() == [(name, lang) for name in sorted(names) for lang in ("en", "ko")]
    assert in_shipped.written("qrels").rows() == [(name, name.split("#")[0], 1) for name in sorted(names)]
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
    assert prompts_of(endpoint) == wanted


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


# ── Failures, dry runs, recordings ──


@pytest.fixture
def failures(workspace, monkeypatch):
    """Where the table of failures goes while the stage fails."""
    file = workspace.path / ".state/failures.csv"
    monkeypatch.setattr(stage, "FAILURES", file)
    return file


def of_passage(*names):
    """A fault: the model refuses to write queries for these passages."""
    ends = tuple(f"Passage: {name}" for name in names)
    return lambda body, nth: "refusal" if prompt(body).endswith(ends) else None


REFUSED = "refused: I can't help with that."


def test_failures_are_listed_and_counted(workspace):
    workspace.corpus([(name, "train") for name in "ab"])
    with Endpoint(faults=of_passage("a|ko")) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=1, llm__max_failed=0.25).run("synthesize")
    assert workspace.written("failures").rows() == [("queries", "a in ko", REFUSED)]
    assert report(workspace)["requests"] == {"queries": {"items": 4, "failed": 1}}
    assert workspace.written("queries").select("query", "lang").rows() == [("b#q1", "en"), ("b#q1", "ko")]


def test_more_failures_than_may_be_stop_the_stage(workspace, failures):
    workspace.corpus([(name, "train") for name in "ab"])
    shutil.rmtree(workspace.path / "data/synthetic")
    with Endpoint(faults=of_passage("a|ko", "b|en")) as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=1, llm__max_failed=0.25)
        text = refused(workspace, "--record", "replies.jsonl")
        assert text.startswith(
            f"2 of 4 items failed, more than llm.max_failed allows (0.25); the first is queries, a in ko: {REFUSED}"
        )
        assert f"all are in {failures}, and replies are kept: mend the cause and run again" in text
        table = pl.read_csv(failures)
        assert table.rows() == [("queries", "a in ko", REFUSED), ("queries", "b in en", REFUSED)]
        assert table.columns == list(FAILURES)
        for name in ("data/synthetic", "metrics", "replies.jsonl"):
            assert not (workspace.path / name).exists()
        # What was replied is kept, the refusals too.
        endpoint.reset()
        workspace.edit(llm__max_failed=0.5).run("synthesize")
        assert not endpoint.requests
    assert workspace.written("failures").height == 2
    assert not failures.exists()


def test_an_endpoint_that_is_not_there_is_told(workspace, failures):
    workspace.corpus([("a", "train")])
    shutil.rmtree(workspace.path / "data/synthetic")
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=1)
    workspace.edit(llm__patience=0.1, llm__retries=1)
    assert f"synthesize, queries: {endpoint.url} has not answered for" in refused(workspace)
    assert not (workspace.path / "data/synthetic").exists()


def many(workspace, endpoint, topics, **changes):
    """All jobs at once: queries for two passages, their translations, three triples, labelled queries."""
    topics([{"id": str(n), "topic": f"Topic {n}"} for n in range(3)])
    # Labels beside passages in two languages, which params refuse: all jobs have something to do then.
    workspace.monkeypatch.setattr(params, "_contradictions", lambda _: [])
    workspace.corpus([(name, "train") for name in "ab"])
    labels = pl.DataFrame([(f"one/{n}", f"About {n}.") for n in "xyz"], LABELS, orient="row")
    tables.write(labels, "data/corpus/labels.parquet", LABELS)
    into = {"hinglish": {"of": "queries", "source": "ko", "target": "hi-Latn"}}
    settings = {
        **{key: value for key, value in KNOWLEDGE_BASE.items() if key.startswith("corpus__")},
        "synthesize__queries__per_passage": 2,
        "synthesize__topics__per_topic": 1,
        "synthesize__labelled__per_label": 1,
        "synthesize__translations": into,
    }
    return workspace.asks(endpoint, **settings | changes)


# Requests of each job: topics are written and translated, queries are translated by passage.
NEEDED = {"topics": 6, "labelled": 3, "queries": 4, "hinglish": 5}


def test_a_dry_run_sends_nothing_and_says_what_it_would_take(workspace, topics, capsys):
    with Endpoint() as endpoint:
        many(workspace, endpoint, topics)
        shutil.rmtree(workspace.path / "data/synthetic")
        workspace.run("synthesize", "--dry-run")
        assert not endpoint.requests
        assert not (workspace.path / "data/synthetic").exists()
        assert not (workspace.path / "metrics").exists()
        printed = capsys.readouterr().out
        head, *rows = [line.split() for line in printed.splitlines() if line][:6]
        assert " ".join(head) == "requests cached to send tokens sent tokens back dollars"
        found = {name: (int(requests), int(cached), int(left)) for name, requests, cached, left, *_ in rows}
        assert found == {name: (n, 0, n) for name, n in NEEDED.items()} | {"all": (18, 0, 18)}
        assert all(row[-2:] == ["no", "prices"] for row in rows)
        assert all(float(row[4].replace(",", "")) > 0 and float(row[5].replace(",", "")) > 0 for row in rows)
        assert printed.splitlines()[-1] == "Tokens and dollars of what is to be sent are estimates; nothing was sent."
        # What is in the cache is not to be sent.
        workspace.run("synthesize")
        assert len(endpoint.requests) == 18
        endpoint.reset()
        many(workspace, endpoint, topics, synthesize__topics__per_topic=2)
        capsys.readouterr()
        workspace.run("synthesize", "--dry-run")
        assert not endpoint.requests
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line][1:6]
    found = {name: (int(requests), int(cached), int(left)) for name, requests, cached, left, *_ in rows}
    assert found == {
        "topics": (12, 6, 6),
        "labelled": (3, 3, 0),
        "queries": (4, 4, 0),
        "hinglish": (8, 5, 3),
        "all": (27, 18, 9),
    }


def test_a_dry_run_prices_what_it_estimates(workspace, topics, capsys):
    with Endpoint() as endpoint:
        many(workspace, endpoint, topics, llm__prices={"input": 1000.0, "output": 0.0})
        workspace.edit(llm__max_cost_usd=2.5, llm__parameters={"max_tokens": 100}).run("synthesize", "--dry-run")
    printed = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in printed if line][1:6]
    for row in rows:
        assert float(row[-1]) == pytest.approx(float(row[4].replace(",", "")) / 1000, abs=0.001)
    assert float(rows[-1][-1]) == pytest.approx(sum(float(row[-1]) for row in rows[:-1]), abs=0.001)
    assert (
        printed[-2] == f"What is in the cache has cost $0.0000; with the rest it would be ${float(rows[-1][-1]):.4f}."
    )
    assert printed[-1] == "llm.max_cost_usd is $2.5: not enough, by this estimate."


def test_a_dry_run_of_recorded_replies_finds_them(workspace, capsys):
    recorded(workspace, 2)
    workspace.run("synthesize", "--dry-run")
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["queries", "4", "4", "0"]


def test_running_twice_gives_the_same_bytes_and_asks_nothing(workspace, topics):
    with Endpoint() as endpoint:
        many(workspace, endpoint, topics).run("synthesize")
        before = everything(workspace)
        assert len(endpoint.requests) == sum(NEEDED.values())
        endpoint.reset()
        workspace.run("synthesize")
        assert not endpoint.requests
        assert everything(workspace) == before
        # Asked anew, one request at a time, for the same.
        (workspace.path / "llm.sqlite").unlink()
        workspace.edit(llm__concurrency=1).run("synthesize")
        assert len(endpoint.requests) == sum(NEEDED.values())
    assert everything(workspace) == before


def test_what_is_recorded_rebuilds_the_study(workspace, topics):
    def faults(body, nth):
        """One refusal for good, one request that the endpoint takes never, and one reply to be asked for again."""
        if prompt(body).endswith("Passage: a|ko"):
            return "refusal"
        if prompt(body).endswith("Passage: a|en"):
            return "400"
        return (
            "prose" if nth else "schema" if "topic: Topic 1." in prompt(body) and len(body["messages"]) == 1 else None
        )

    with Endpoint(faults=faults) as endpoint:
        many(workspace, endpoint, topics, llm__max_failed=0.5).run("synthesize", "--record", "kept/replies.jsonl")
        before = everything(workspace)
        assert len(endpoint.requests) == 18  # one more to ask again, and a passage fewer with a Korean query
    rows = [row for _, row in jsonl.rows(workspace.path / "kept/replies.jsonl")]
    assert len(rows) == len({row["key"] for row in rows}) == 18
    assert workspace.written("failures").height == 2
    many(workspace, endpoint, topics, llm__max_failed=0.5)
    workspace.edit(llm__provider="recorded", llm__recorded="kept/replies.jsonl").run("synthesize")
    assert everything(workspace) == before


KINDS = {
    "You write search queries": "queries",
    "You write example queries": "labelled",
    "You write training data": "triples",
    "You translate texts of a search collection from English into Korean": "translated triples",
    "You translate texts of a search collection from Korean into Hinglish": "hinglish",
}


def kinds(endpoint):
    """How many requests of each kind there were."""
    found = [kind for text in prompts_of(endpoint) for begin, kind in KINDS.items() if text.startswith(begin)]
    assert len(found) == len(endpoint.requests)
    return Counter(found)


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("queries", {"queries": 4, "hinglish": 2}),
        ("triple", {"triples": 3, "translated triples": 3, "hinglish": 3}),
        ("labelled", {"labelled": 3}),
        ("translate", {"translated triples": 3, "hinglish": 5}),
    ],
)
def test_a_changed_prompt_asks_again_for_what_it_writes_alone(workspace, topics, prompt_files, file, asked):
    """And for the translations of that, which are of other texts then."""
    with Endpoint() as endpoint:
        many(workspace, endpoint, topics).run("synthesize")
        endpoint.reset()
        change(prompt_files / f"{file}.md", "Reply with JSON alone", "Take care. Reply with JSON alone")
        workspace.run("synthesize")
        assert kinds(endpoint) == asked


def test_what_the_language_is_called_is_part_of_a_prompt(workspace, topics):
    with Endpoint() as endpoint:
        many(workspace, endpoint, topics).run("synthesize")
        endpoint.reset()
        varieties = {"hi-Latn": "Romanised Hindi (Latin letters)"}
        workspace.edit(synthesize__varieties=varieties).run("synthesize")
    assert len(endpoint.requests) == NEEDED["hinglish"] + NEEDED["labelled"]
    assert all("Romanised Hindi (Latin letters)" in text for text in prompts_of(endpoint))


def test_replies_come_in_batches_to_the_same_bytes(workspace, topics):
    with Endpoint(polls=0) as endpoint:
        many(workspace, endpoint, topics).run("synthesize")
        before = everything(workspace)
        endpoint.reset()
        batched = {"llm__mode": "batch", "llm__poll_seconds": 0.01, "llm__cache": str(workspace.path / "other.sqlite")}
        workspace.edit(**batched).run("synthesize")
        assert not [request for request in endpoint.requests if request.path.endswith("/chat/completions")]
        assert len(endpoint.answers()) == sum(NEEDED.values())
    assert everything(workspace) == before
