"""Settings, tasks and processes for the tests of the client."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stages.shared.endpoint import sending
from stages.shared.errors import UserError
from stages.shared.llm.session import Session
from tests.fakes.endpoint import completion
from tests.fakes.writer import write
from tests.shared.llm import asking


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No pauses that the endpoint does not ask for."""
    monkeypatch.setattr(sending, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def settings(tmp_path):
    """Settings for an endpoint, with a cache of the test's own."""

    def made(endpoint, **changes):
        return asking.settings(base_url=endpoint.url, cache=str(tmp_path / "cache.sqlite"), **changes)

    return made


@pytest.fixture
def start(tmp_path):
    """Start `asking` in a process of its own; its values go to the file `out`."""
    started = []

    def begin(llm, count, environment=(), die=None, grace=None, **some):
        file = tmp_path / f"run-{len(started)}.json"
        changes = llm.model_dump(exclude_unset=True)
        run = {"llm": changes, "tasks": {"count": count, **some}, "out": str(file.with_suffix(".out"))}
        run |= {name: value for name, value in (("die", die), ("grace", grace)) if value}
        file.write_text(json.dumps(run), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(asking.ROOT)} | dict(environment)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.shared.llm.asking", file],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.out = file.with_suffix(".out")
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def run(llm, count=3, dry_run=False, **some):
    """What a session makes of `count` items, and the session."""
    with Session(llm, "synthesize", "ask for none", dry_run) as session:
        return session.run({"queries": asking.tasks(llm, count, **some)})["queries"], session


def stopped(llm, count=3, **some):
    """The sentence with which a session ends."""
    with pytest.raises(UserError) as caught:
        run(llm, count, **some)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def ended(process):
    """What a process that ends by itself says."""
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == 0, output
    return output


def right(count=3, begin=0, translated=False):
    """What `count` items are if nothing goes wrong."""

    def answer(prompt):
        return json.loads(write({"messages": [{"role": "user", "content": prompt}]}))

    made = [answer(asking.prompt(n))["queries"] for n in range(begin, begin + count)]
    return [[*q, *answer(asking.translation(q))["texts"]] for q in made] if translated else made


def rows(llm, table="replies"):
    with sqlite3.connect(llm.cache) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def once_each(endpoint, llm):
    """Whether nothing was paid for twice, and all that was paid for is in the cache."""
    answers = endpoint.answers()
    return set(answers.values()) == {1} and len(rows(llm)) == len(answers)


def spent(endpoint, llm):
    """Dollars, by the endpoint's own count of tokens."""
    total = 0
    for text, times in endpoint.answers().items():
        usage = completion(body := json.loads(text), write(body))["usage"]
        total += times * usage["prompt_tokens"] * llm.prices.input
        total += times * usage["completion_tokens"] * llm.prices.output
    return total / 1e6


def pytest_collection_modifyitems(items):
    """All of the client's tests: most of them wait for the clock, or for processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
