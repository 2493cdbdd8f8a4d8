"""synthesize: the shipped replies, failures, dry runs, recordings, and what is asked again."""

import json
import shutil
from collections import Counter

import polars as pl
import pytest

from stages.schemas.texts import LABELS, PASSAGES
from stages.shared import jsonl, tables
from stages.synthesize import __main__ as stage
from stages.synthesize.rejected import FAILURES
from tests.conftest import ROOT, SYNTHETIC, Workspace, prompts_of
from tests.fakes.endpoint import Endpoint
from tests.synthesize.writing import REPLIES, change, everything, first_message, recorded, refused, report

pytestmark = pytest.mark.slow

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


# ── Recorded replies ──


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


# ── Failures ──


@pytest.fixture
def failures(workspace, monkeypatch):
    """Where the table of failures goes while the stage fails."""
    file = workspace.path / ".state/failures.csv"
    monkeypatch.setattr(stage, "FAILURES_FILE", file)
    return file


def of_passage(*names):
    """A fault: the model refuses to write queries for these passages."""
    ends = tuple(f"Passage: {name}" for name in names)
    return lambda body, nth: "refusal" if first_message(body).endswith(ends) else None


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
        for name in ("data/synthetic", "metrics/synthesis.json", "replies.jsonl"):
            assert not (workspace.path / name).exists()
        # What was replied is kept, the refusals too.
        endpoint.reset()
        workspace.edit(llm__max_failed=0.5).run("synthesize")
        assert not endpoint.requests
    assert workspace.written("failures").height == 2
    assert not failures.exists()


KEY = "sk-canary-0123456789abcdef"


@pytest.mark.parametrize("most", [0.5, 0.0])
def test_a_key_that_replies_repeat_is_in_nothing_that_is_kept(workspace, failures, monkeypatch, caplog, capfd, most):
    def faults(body, nth):
        return "echo-refusal" if first_message(body).endswith("Passage: b|ko") else "echo"

    monkeypatch.setenv("ISOGLOSS_TEST_KEY", KEY)
    workspace.corpus([(name, "train") for name in "ab"])
    ran = {"llm__key_env": "ISOGLOSS_TEST_KEY", "llm__max_failed": most, "synthesize__queries__per_passage": 1}
    with Endpoint(faults=faults) as endpoint:
        workspace.asks(endpoint, **ran)
        if most:
            workspace.run("synthesize", "--record", "replies.jsonl")
            kept = pl.concat([workspace.written(name).cast(pl.String).unpivot() for name in SYNTHETIC])
            texts = kept["value"].str.join("\n").item()
            assert "[masked key]" in texts and KEY not in texts
            assert report(workspace)["masked"] == 4
            assert "4 replies repeat the key that they were asked for with" in caplog.text
        else:
            said = refused(workspace)
            assert "refused: I will not help [masked key]." in said and KEY not in said
            assert "[masked key]" in failures.read_text()
        assert {key for request in endpoint.requests for key in request.keys} == {KEY}
    files = [file for file in workspace.path.rglob("*") if file.is_file()]
    assert {"llm.sqlite", "failures.csv" if not most else "replies.jsonl"} <= {file.name for file in files}
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    assert KEY not in caplog.text + "".join(capfd.readouterr())


def test_an_endpoint_that_is_not_there_is_told(workspace, failures):
    workspace.corpus([("a", "train")])
    shutil.rmtree(workspace.path / "data/synthetic")
    with Endpoint() as endpoint:
        workspace.asks(endpoint, synthesize__queries__per_passage=1)
    workspace.edit(llm__patience=0.1, llm__retries=1)
    assert f"synthesize, queries: {endpoint.url} has not answered for" in refused(workspace)
    assert not (workspace.path / "data/synthetic").exists()


# ── All jobs at once: dry runs, recordings, what is asked again ──


def many(workspace, endpoint, topics, **changes):
    """All jobs at once: queries for two passages, their translations, three triples, labelled queries."""
    topics([{"id": str(n), "topic": f"Topic {n}"} for n in range(3)])
    # Labels beside passages in two languages, which no source has: all jobs have something to do then.
    workspace.corpus([(name, "train") for name in "ab"])
    labels = pl.DataFrame([(f"one/{n}", f"About {n}.") for n in "xyz"], LABELS, orient="row")
    tables.write(labels, "data/corpus/labels.parquet", LABELS)
    into = {"hinglish": {"of": "queries", "source": "ko", "target": "hi-Latn"}}
    settings = {
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
        assert not (workspace.path / "metrics/synthesis.json").exists()
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
        if first_message(body).endswith("Passage: a|ko"):
            return "refusal"
        if first_message(body).endswith("Passage: a|en"):
            return "400"
        if nth:
            return "prose"
        return "schema" if "topic: Topic 1." in first_message(body) and len(body["messages"]) == 1 else None

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
