"""Kills, shared caches and long runs, in processes of their own."""

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from stages.shared.llm.cache import Cache
from tests.fakes.endpoint import Endpoint
from tests.shared.llm import asking
from tests.shared.llm.conftest import ended, once_each, right, rows, run


def sent(endpoint, more):
    """Wait until so many more requests have come."""
    until = endpoint.stats()["requests"] + more
    while endpoint.stats()["requests"] < until:
        time.sleep(0.002)


@pytest.mark.slow
def test_ten_kills_lose_no_more_than_what_was_in_flight(settings, start, tmp_path, capsys):
    kills, items, moments = 10, 250, random.Random(1)
    with Endpoint(latency=0.02) as endpoint:
        llm = settings(endpoint)
        kept = []
        for _ in range(kills):
            process = start(llm, items, translated=True)
            sent(endpoint, 1)
            time.sleep(moments.uniform(0, 0.2))
            assert process.poll() is None
            process.kill()
            process.wait()
            kept.append(len(rows(llm)))
        ended(last := start(llm, items, translated=True))
        killed = endpoint.answers()
        twice = sum(killed.values()) - len(killed)
        endpoint.reset()
        fresh = llm.model_copy(update={"cache": str(tmp_path / "fresh.sqlite")})
        ended(undisturbed := start(fresh, items, translated=True))
    assert kept == sorted(kept)
    assert kept[-1] > 100
    assert len(killed) == len(rows(llm)) == 2 * items
    assert max(killed.values()) <= kills + 1
    assert twice <= kills * llm.concurrency
    assert killed.keys() == endpoint.answers().keys()
    assert last.out.read_bytes() == undisturbed.out.read_bytes()
    assert json.loads(last.out.read_text())["made"] == right(items, translated=True)
    assert rows(llm, "claims") == []
    with capsys.disabled():
        figures = Counter(killed.values())
        print(f"\nkills: replies kept {kept}, then {2 * items}; bodies by answers {dict(figures)}; paid twice {twice}")


def test_two_processes_share_the_work(settings, start):
    with Endpoint(latency=0.02) as endpoint:
        llm = settings(endpoint)
        processes = [start(llm, 200) for _ in range(2)]
        for process in processes:
            ended(process)
            assert json.loads(process.out.read_text())["made"] == right(200)
        assert len(endpoint.answers()) == 200
        assert once_each(endpoint, llm)
        # Both had a part in it.
        assert endpoint.most > llm.concurrency
        assert rows(llm, "claims") == []


def test_what_a_killed_process_had_in_flight_is_asked_by_the_next(settings, start):
    with Endpoint(faults=lambda body, nth: "hang" if nth == 0 else None) as endpoint:
        llm = settings(endpoint)
        process = start(llm, 8)
        sent(endpoint, 8)
        process.kill()
        process.wait()
        assert len(rows(llm, "claims")) == 8
        begin = time.monotonic()
        assert run(llm, 8)[0] == right(8)
        assert time.monotonic() - begin < 5
        assert rows(llm, "claims") == []
        assert once_each(endpoint, llm)


def test_what_a_living_process_has_in_flight_is_waited_for(settings, start):
    with Endpoint(latency=1) as endpoint:
        llm = settings(endpoint)
        process = start(llm, 8)
        sent(endpoint, 8)
        assert run(llm, 8)[0] == right(8)
        ended(process)
        assert len(endpoint.requests) == 8


def test_what_a_living_process_gives_up_is_asked_by_the_other(settings, start):
    def faults(body, nth):
        return "hang" if "test 8." in body["messages"][0]["content"] else "400" if nth == 0 else None

    with Endpoint(faults=faults) as endpoint:
        llm = settings(endpoint, timeout=60.0)
        process = start(llm, 9)
        sent(endpoint, 9)
        assert run(llm, 8)[0] == right(8)
        assert process.poll() is None
        assert len(endpoint.requests) == 17


# ── The key ──

KEY = "sk-canary-5f0c7e1d9b3a"


@pytest.mark.slow
def test_the_key_is_nowhere_but_in_the_environment(settings, start, tmp_path):
    def echoing(body, nth):
        return "500" if nth == 0 else None

    environment = {"ISOGLOSS_TEST_KEY": KEY, "HOME": str(tmp_path)}
    output = []
    with (
        Endpoint(key=KEY, faults=echoing) as good,
        Endpoint(faults=lambda body, nth: "401") as echo,
        Endpoint(key="another") as closed,
    ):
        for endpoint, code in ((good, 0), (echo, 1), (closed, 1)):
            processes = []
            for mode in ("direct", "batch"):
                llm = settings(endpoint, mode=mode, key_env="ISOGLOSS_TEST_KEY")
                llm = llm.model_copy(update={"cache": str(tmp_path / f"{endpoint.port}-{mode}.sqlite")})
                processes.append(start(llm, 3, environment))
            for process in processes:
                output += process.communicate(timeout=60)
                assert process.returncode == code, output
        for endpoint in (good, echo, closed):
            assert {key for request in endpoint.requests for key in request.keys} == {KEY}
    said = "\n".join(output)
    assert said.count("Incorrect API key provided: [key]") == 2
    assert said.count("refuses the key in ISOGLOSS_TEST_KEY (401: ") == 4
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len([file for file in files if file.suffix == ".sqlite"]) == 6
    assert KEY not in said
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("mode", ["direct", "batch"])
def test_a_key_goes_into_the_header_that_is_named(settings, monkeypatch, mode):
    monkeypatch.setenv("ISOGLOSS_TEST_KEY", f" {KEY}\n")
    with Endpoint(key=KEY) as endpoint:
        llm = settings(endpoint, mode=mode, key_env="ISOGLOSS_TEST_KEY", key_header="api-key", query={"version": "1"})
        assert run(llm)[0] == right()
        assert {request.headers.get("api-key") for request in endpoint.requests} == {KEY}
        assert not any("authorization" in request.headers for request in endpoint.requests)
        assert {request.query["version"] for request in endpoint.requests} == {"1"}


# ── Long runs ──


def resident(process):
    """Megabytes."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_requests(settings, start):
    with Endpoint(log=False) as endpoint:
        process = start(settings(endpoint), 3000, size=8000)
        while endpoint.stats()["answered"] < 500:
            time.sleep(0.01)
        early = resident(process)
        late = early
        while endpoint.stats()["answered"] < 2990:
            late = max(late, resident(process))
            time.sleep(0.01)
        assert late - early < 20
        ended(process)
        assert endpoint.stats()["answered"] == 3000


def test_an_interrupted_run_lets_others_take_over(settings, start):
    with Endpoint(latency=0.3) as endpoint:
        llm = settings(endpoint)
        process = start(llm, 30)
        sent(endpoint, 8)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=20)[1]
        assert process.returncode == 1
        assert "error: synthesize, queries: interrupted; " in output
        assert rows(llm, "claims") == []
        cache = Cache(Path(llm.cache))
        assert cache.claim(next(asking.steps(llm, 29)).key)
        cache.close()
