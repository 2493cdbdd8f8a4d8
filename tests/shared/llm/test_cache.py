"""cache: replies outlive all, one process asks each thing, and what is no cache is one sentence."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.shared import state
from stages.shared.errors import UserError
from stages.shared.llm.cache import CACHE_VERSION, Cache, Recorded, path_of, recorded_row
from stages.shared.llm.request import Reply
from stages.shared.llm.session import Session
from tests.fakes.endpoint import Endpoint
from tests.shared.llm import asking
from tests.shared.llm.conftest import right, run, stopped

REPLY = Reply('{"queries": ["한", "글"]}', "length", "no", 3, 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some/where/cache.sqlite"


@pytest.fixture
def opened(path):
    """Open the cache as often as wanted."""
    caches = []

    def begin():
        caches.append(Cache(path))
        return caches[-1]

    yield begin
    for cache in caches:
        if (cache._locks / cache.run).exists():
            cache.close()


def request(number=0):
    return next(asking.steps(asking.settings(), number))


def test_a_reply_is_found_again_as_it_was(opened):
    cache = opened()
    assert cache.get(request().key) is None
    cache.put(request(), REPLY)
    assert cache.get(request().key) == REPLY
    cache.put(request(), Reply("another"))
    assert opened().get(request().key) == REPLY
    cache.put(request(1), Reply(None))
    assert opened().get(request(1).key) == Reply(None, "stop", None, None, None)


def test_of_all_who_want_a_request_one_may_send_it(opened):
    first, second = opened(), opened()
    key = request().key
    assert first.claim(key)
    assert not first.claim(key)
    assert not second.claim(key)
    first.release(key)
    assert second.claim(key)
    first.release(key)  # not its own
    assert not first.claim(key)
    second.put(request(), REPLY)
    assert not first.claim(key)
    assert not second.claim(key)
    assert first.claim(request(1).key)
    first.close()
    assert second.claim(request(1).key)


CLAIM = """
import os, signal, sys
from pathlib import Path
from stages.shared.llm.cache import Cache
Cache(Path(sys.argv[1])).claim(sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_claim_ends_with_its_process_however_that_ends(opened, path):
    cache, other = opened(), opened()
    killed = subprocess.run([sys.executable, "-c", CLAIM, path, request().key], cwd=asking.ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert cache._db.execute("SELECT COUNT(*) FROM claims").fetchone() == (1,)
    assert [c.claim(request().key) for c in (cache, other)] == [True, False]
    # No lock is left of the process.
    assert {file.name for file in cache._locks.iterdir()} == {cache.run, other.run}


OPEN = """
import sys, time
from pathlib import Path
from stages.shared.llm.cache import Cache
begin = float(sys.argv[2])
for turn in range(40):
    time.sleep(max(0, begin + turn * 0.02 - time.time()))
    Cache(Path(sys.argv[1]) / f"{turn}.sqlite").close()
"""


def test_many_may_open_a_new_file_at_once(tmp_path):
    command = [sys.executable, "-c", OPEN, str(tmp_path), str(time.time() + 0.8)]
    processes = [subprocess.Popen(command, cwd=asking.ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [""] * 4


def refusal(path):
    with pytest.raises(UserError) as caught:
        Cache(path)
    said = str(caught.value)
    assert said.startswith(f"llm.cache: {path} ")
    assert len(said.splitlines()) == 1
    return said


def test_what_is_no_cache_is_one_sentence(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("Not a database, and longer than a header of one is: " + "x" * 100)
    before = file.read_bytes()
    assert "cannot be used (file is not a database): name another file or move it away" in refusal(file)
    assert file.read_bytes() == before
    assert "cannot be used (" in refusal(tmp_path)
    assert "cannot be used (" in refusal(file / "cache.sqlite")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE replies (x)")
    assert "cannot be used (it is another database): name another file" in refusal(other)


def test_a_cache_of_a_later_version_is_left_alone(opened, path):
    opened().close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={CACHE_VERSION + 1}")
    assert f"has version {CACHE_VERSION + 1}, this code {CACHE_VERSION}: name another file" in refusal(path)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (CACHE_VERSION + 1,)


def test_an_empty_file_is_no_new_cache(opened, path):
    """It was one, and all in it is lost: to ask for it again costs what it cost."""
    opened().close()
    path.write_bytes(b"")
    assert "cannot be used (it is empty, and was not when it was made: bring it back from a copy" in refusal(path)
    assert path.read_bytes() == b""
    path.unlink()
    assert opened().get(request().key) is None


def test_what_is_left_of_another_cache_does_not_come_into_a_new_one(opened, path):
    cache = opened()
    cache.put(request(), REPLY)
    left = path.with_name(path.name + "-wal")
    written = left.read_bytes()
    cache.close()
    path.unlink()
    left.write_bytes(written)
    assert opened().get(request().key) is None


def flip(path, key, change):
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE replies SET {change} WHERE key = ?", (key,))


@pytest.mark.parametrize(
    "change",
    [
        "content = replace(content, 'queries', 'pueries')",
        "content = CAST(x'ff7b22' AS TEXT)",
        "finish = 'stop'",
        "completion_tokens = 1",
    ],
)
def test_a_damaged_reply_is_none_and_is_said(opened, path, caplog, change):
    cache = opened()
    for number in range(2):
        cache.put(request(number), REPLY)
    flip(path, request().key, change)
    assert cache.get(request().key) is None
    assert cache.get(request(1).key) == REPLY
    # It was paid for, and is asked for again.
    assert cache.lost(request().key) == 1
    assert cache.claim(request().key)
    cache.put(request(), REPLY)
    assert cache.get(request().key) == REPLY
    cache.close()
    assert f"{path}: 1 replies were damaged or broken off, and are asked for again" in caplog.text


def old_cache(path, *replies):
    """A cache as earlier versions made it, without checksums."""
    cache = Cache(path)
    for number, reply in enumerate(replies):
        cache.put(request(number), reply)
    cache.close()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE checksums")


def test_a_cache_without_checksums_gets_them_and_says_so(opened, path, caplog):
    caplog.set_level("INFO")
    old_cache(path, REPLY, Reply("another"))
    assert opened().get(request().key) == REPLY
    assert f"{path}: its 2 replies have checksums from now on" in caplog.text
    flip(path, request().key, "content = 'x'")
    assert opened().get(request().key) is None
    assert opened().get(request(1).key) == Reply("another")
    assert caplog.text.count("from now on") == 1


def test_a_reply_that_was_broken_off_and_kept_is_asked_for_again(opened, path):
    old_cache(path, Reply('{"queries": ["a', "error"))
    cache = opened()
    assert cache.get(request().key) is None
    assert cache.claim(request().key)


def test_counts_that_were_kept_as_they_came_are_none(opened, path):
    old_cache(path, REPLY)
    flip(path, request().key, "prompt_tokens = 'many', completion_tokens = '12'")
    assert opened().get(request().key) == REPLY._replace(prompt_tokens=None, completion_tokens=12)


def test_a_damaged_file_is_one_sentence(opened, path):
    cache = opened()
    for number in range(50):
        cache.put(request(number), REPLY)
    cache.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"^llm\.cache: .* \(.*malformed") as caught:
        opened().get(request().key)
    assert len(str(caught.value).splitlines()) == 1


def test_one_request_is_one_row_with_what_was_asked(opened, path):
    opened().put(request(), REPLY)
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        (row,) = map(dict, db.execute("SELECT * FROM replies"))
    assert (row["key"], row["model"], row["form"]) == (request().key, "isogloss-mini", "Queries")
    assert json.loads(row["request"])["messages"] == [{"role": "user", "content": asking.prompt(0)}]


# ── Recorded replies ──


@pytest.mark.parametrize(
    "reply",
    [
        REPLY,
        Reply(None),
        Reply(""),
        Reply("a", "length"),
        Reply(None, refusal="no"),
        Reply("a", "stop", "", 0, 0),
        Reply("a\n\u2028b", prompt_tokens=1),
        Reply("a", completion_tokens=1),
    ],
)
def test_a_recorded_reply_is_read_as_it_was(tmp_path, reply):
    file = tmp_path / "replies.jsonl"
    file.write_text(json.dumps(recorded_row("k", "item 0", reply)) + "\n")
    recorded = Recorded(file)
    assert recorded.get("k") == reply
    assert recorded.get("l") is None
    recorded.close()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"content": "a"}, "it needs a text 'key', and 'content', a text or null"),
        ({"key": 1, "content": "a"}, "it needs a text 'key'"),
        ({"key": "k"}, "and 'content', a text or null"),
        ({"key": "k", "reply": "a"}, "and 'content', a text or null"),
        ({"key": "k", "content": {"queries": []}}, "and 'content', a text or null"),
        ({"key": "k", "content": "a", "finish": None}, "its 'finish' is None"),
        ({"key": "k", "content": "a", "refusal": ["no"]}, "its 'refusal' is ['no']"),
        ({"key": "k", "content": "a", "prompt_tokens": "9"}, "its 'prompt_tokens' is '9'"),
        ({"key": "k", "content": "a", "completion_tokens": 1.5}, "its 'completion_tokens' is 1.5"),
    ],
)
def test_a_row_that_is_no_reply_is_named(tmp_path, row, words):
    file = tmp_path / "replies.jsonl"
    file.write_text(json.dumps({"key": "j", "content": None}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(UserError) as caught:
        Recorded(file)
    assert str(caught.value).startswith(f"{file}:2 is no recorded reply: ")
    assert words in str(caught.value)


def record(session, file):
    replies = {key: session.cache.get(key) or session.unanswered[key] for key in session.used}
    rows = [recorded_row(key, session.used[key], reply) for key, reply in replies.items()]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def test_a_recorded_study_makes_what_the_asking_one_made(settings, tmp_path):
    # Some are asked for again, some fail, and some are fine.
    met = {
        "test 1.": "schema",
        "test 2.": "refusal",
        "test 3.": "wrong-language",
        "test 4.": "fences",
        "test 5.": "400",
    }

    def faults(body, nth):
        return next((fault for text, fault in met.items() if text in body["messages"][0]["content"]), None)

    file = tmp_path / "replies.jsonl"
    with Endpoint(faults=faults) as endpoint:
        llm = settings(endpoint)
        with Session(llm, "synthesize", "ask for none") as asked:
            made = asked.run({"queries": asking.tasks(llm, 8, translated=True)})
            record(asked, file)
        before = len(endpoint.requests)
        files = sorted(tmp_path.iterdir())
        recorded = llm.model_copy(update={"provider": "recorded", "recorded": str(file), "cache": None})
        with Session(recorded, "synthesize", "ask for none") as read:
            assert read.run({"queries": asking.tasks(recorded, 8, translated=True)}) == made
        assert len(endpoint.requests) == before
        assert sorted(tmp_path.iterdir()) == files
    assert [f.task for f in asked.failures] == ["item 1", "item 2", "item 5"]
    assert read.failures == asked.failures
    assert read.meter.prompt_tokens == asked.meter.prompt_tokens > 0
    assert read.meter.completion_tokens == asked.meter.completion_tokens > 0
    said = stopped(recorded, 10, translated=True)
    assert f"{file} has no reply to 2 of 10 requests of queries (the first: item 8): " in said
    assert "set llm.provider to openai" in said


# ── Where it is ──


def test_a_relative_path_counts_from_the_main_checkout(tmp_path):
    assert path_of(None, tmp_path) == tmp_path / ".state/llm.sqlite"
    assert path_of("cache.sqlite", tmp_path) == tmp_path / "cache.sqlite"
    assert path_of("/cache.sqlite", tmp_path) == Path("/cache.sqlite")
    assert path_of("~/cache.sqlite", tmp_path) == Path.home() / "cache.sqlite"


def test_worktrees_share_their_replies(settings, monkeypatch, tmp_path):
    monkeypatch.setattr(state, "ROOT", tmp_path / "main")
    with Endpoint() as endpoint:
        llm = settings(endpoint).model_copy(update={"cache": None})
        assert run(llm)[0] == right()
        assert (tmp_path / "main/.state/llm.sqlite").is_file()
