"""What no further request can mend: the run stops soon, with one sentence that says what to mend."""

import asyncio
import signal
import socket
import threading
import time

import pytest

from stages.check import params
from stages.settings.llm import read_llm
from stages.shared.errors import UserError
from stages.shared.llm.cache import Cache
from stages.shared.llm.direct import Direct
from stages.shared.llm.meter import Meter
from tests.fakes import endpoint as server
from tests.fakes.endpoint import Endpoint
from tests.shared.llm import asking
from tests.shared.llm.conftest import ended, once_each, right, rows, run, stopped

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("ISOGLOSS_TEST_KEY", KEY)
    return {"key_env": "ISOGLOSS_TEST_KEY"}


@pytest.mark.parametrize("mode", ["direct", "batch"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", ["refuses the key in ISOGLOSS_TEST_KEY (401: Incorrect API key provided: [key].)", "check the key"]),
        ("403", ["refuses the key in ISOGLOSS_TEST_KEY (403: You are not allowed", "llm.base_url"]),
        ("404", ["does not know the model 'isogloss-mini' or the path (404: The model", "check both"]),
        ("429-quota", ["says that the account has no credit left (429: You exceeded", "top it up"]),
        (
            "200-401",
            ["refuses the key in ISOGLOSS_TEST_KEY (401: Incorrect API key provided: [key].)", "check the key"],
        ),
        ("200-403", ["refuses the key in ISOGLOSS_TEST_KEY (403: You are not allowed", "llm.base_url"]),
        ("200-404", ["does not know the model 'isogloss-mini' or the path (404: The model", "check both"]),
        ("200-429-quota", ["says that the account has no credit left (402: You exceeded", "top it up"]),
    ],
)
def test_what_asking_again_cannot_mend_stops_at_once(settings, key, mode, fault, words):
    with Endpoint(faults=lambda body, nth: fault) as endpoint:
        llm = settings(endpoint, mode=mode, **key)
        said = stopped(llm, 50)
        assert said.startswith(f"synthesize, queries: {endpoint.url} ")
        assert all(word in said for word in words), said
        assert KEY not in said
        if mode == "direct":
            assert len(endpoint.requests) <= llm.concurrency


@pytest.mark.parametrize("mode", ["direct", "batch"])
def test_a_key_that_the_environment_lacks_is_named(settings, monkeypatch, mode):
    monkeypatch.delenv("ISOGLOSS_TEST_KEY", raising=False)
    with Endpoint() as endpoint:
        said = stopped(settings(endpoint, mode=mode, key_env="ISOGLOSS_TEST_KEY"))
        assert said.startswith("the environment has no ISOGLOSS_TEST_KEY, which llm.key_env names: export it")
        assert endpoint.requests == []


def test_a_study_that_is_in_the_cache_needs_no_key_and_no_endpoint(settings, monkeypatch):
    monkeypatch.delenv("ISOGLOSS_TEST_KEY", raising=False)
    with Endpoint() as endpoint:
        llm = settings(endpoint)
        run(llm)
    assert run(llm.model_copy(update={"key_env": "ISOGLOSS_TEST_KEY"}))[0] == right()


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("count", [1, 20])
def test_an_endpoint_that_is_down_is_given_up_soon(settings, count):
    endpoint = Endpoint(port=closed_port())
    begin = time.monotonic()
    said = stopped(settings(endpoint, patience=0.5, retries=100), count)
    assert time.monotonic() - begin < 5
    assert f"{endpoint.url} has not answered for " in said
    assert "(connection failed (ConnectionRefusedError: " in said
    assert "check llm.base_url and the server" in said


def test_batches_give_up_an_endpoint_that_is_down(settings):
    endpoint = Endpoint(port=closed_port())
    said = stopped(settings(endpoint, mode="batch", retries=0))
    assert f"{endpoint.url} has not answered in 1 attempts (connection failed (ConnectionRefusedError: " in said


def test_an_endpoint_that_goes_down_is_waited_for_as_long_as_patience_says(settings):
    endpoint = Endpoint(latency=0.02).__enter__()

    def goes_down():
        while endpoint.stats()["answered"] < 40:
            time.sleep(0.01)
        endpoint.__exit__()

    thread = threading.Thread(target=goes_down)
    thread.start()
    llm = settings(endpoint, patience=1.0, retries=100)
    begin = time.monotonic()
    said = stopped(llm, 100)
    assert 1 < time.monotonic() - begin < 6
    thread.join()
    assert "has not answered for 1 s (connection failed" in said
    assert "replies so far are kept: run again to go on" in said
    kept = len(rows(llm))
    assert 40 <= kept < 100
    # What was on its way when the endpoint went is lost.
    assert endpoint.stats()["answered"] - kept <= llm.concurrency
    with Endpoint(port=endpoint.port) as endpoint:
        assert run(llm, 100)[0] == right(100)
        assert endpoint.stats()["answered"] == 100 - kept


def test_an_endpoint_that_refuses_everything_is_not_asked_to_the_end(settings):
    with Endpoint(faults=lambda body, nth: "400") as endpoint:
        assert "refused the first 20 requests" in stopped(settings(endpoint), 200)
        assert len(endpoint.requests) < 40


def test_an_interrupted_run_keeps_what_is_in_flight_and_goes_on_the_next_time(settings, start):
    with Endpoint(latency=0.5) as endpoint:
        llm = settings(endpoint)
        process = start(llm, 40)
        while len(endpoint.requests) < 12:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=20)[1]
        assert process.returncode == 1
        assert output.splitlines()[-1] == (
            "error: synthesize, queries: interrupted; replies so far are kept: run the same command again to go on"
        )
        assert "Traceback" not in output
        assert not process.out.exists()
        asked = len(endpoint.requests)
        assert asked <= 16
        assert endpoint.answers().total() == len(rows(llm)) == asked
        endpoint.latency = 0.01
        ended(start(llm, 40))
        assert once_each(endpoint, llm)
        assert len(endpoint.requests) == 40


def test_a_second_interrupt_ends_at_once(settings, start):
    with Endpoint(faults=lambda body, nth: "hang") as endpoint:
        process = start(settings(endpoint, timeout=60.0), 40)
        while len(endpoint.requests) < 8:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=5)[1]
        assert process.returncode == 1
        assert output.splitlines()[-1] == "error: interrupted; run the same command again to go on"
        assert "Traceback" not in output


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_an_interrupt_does_not_wait_for_what_never_ends(settings, start, fault):
    """What came in before is kept, and what is given up counts as paid for."""
    with Endpoint(faults=lambda body, nth: fault if "test 7." in body["messages"][0]["content"] else None) as endpoint:
        llm = settings(endpoint, timeout=600.0, concurrency=1)
        process = start(llm, 8, grace=0.2)
        while len(endpoint.requests) < 8:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        output = process.communicate(timeout=20)[1]
        assert time.monotonic() - begin < 5
        assert process.returncode == 1
        assert "1 requests were still being answered 0.2 s after the interrupt: they may be billed" in output
        assert output.splitlines()[-1].startswith("error: synthesize, queries: interrupted; replies so far are kept")
        assert "Traceback" not in output
        assert len(rows(llm)) == 7
        assert [attempts for _, attempts in rows(llm, "lost")] == [1]
        endpoint.faults = None
        assert run(llm, 8)[0] == right(8)


async def ended_meanwhile(llm, items, end):
    """Follow `items`, and have them ended after a moment."""
    cache = Cache(asking.ROOT / llm.cache)
    direct = Direct(llm, cache, Meter(llm), lambda: None)
    running = asyncio.create_task(direct.run(item.steps() for item in items))
    await asyncio.sleep(0.3)
    end(direct, running)
    try:
        await running
    finally:
        cache.close()


def test_what_waits_for_the_budget_is_not_sent_after_the_end(settings):
    with Endpoint(latency=0.6) as endpoint:
        llm = settings(
            endpoint, prices={"input": 10.0, "output": 30.0}, parameters={"max_tokens": 200}, max_cost_usd=0.03
        )
        asyncio.run(ended_meanwhile(llm, asking.tasks(llm, 20), lambda direct, _: direct.sender.stop("enough")))
        assert len(endpoint.requests) == len(rows(llm)) == 3


def test_those_who_wait_for_the_same_reply_end_with_it(settings):
    with Endpoint(faults=lambda body, nth: "hang") as endpoint:
        llm = settings(endpoint)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ended_meanwhile(llm, asking.tasks(llm, 1) * 4, lambda _, running: running.cancel()))
        assert len(endpoint.requests) == 1


def says(monkeypatch, fault, status, headers=(), **error):
    """Have the endpoint's fault be this answer."""
    kind, code = error.get("kind", "invalid_request_error"), error.get("code")
    answer = (status, dict(headers), kind, code, error.get("message", "No."))
    monkeypatch.setitem(server.ERRORS, fault, answer)


@pytest.mark.parametrize(("status", "code"), [(402, None), (429, "billing_hard_limit_reached")])
def test_an_account_without_credit_stops_after_replies_too(settings, monkeypatch, status, code):
    says(monkeypatch, "400", status, code=code)
    with Endpoint(faults=lambda body, nth: None if "test 0." in body["messages"][0]["content"] else "400") as endpoint:
        llm = settings(endpoint, concurrency=1)
        assert "has no credit left" in stopped(llm, 50)
        assert len(endpoint.requests) == 2


def test_a_gateway_that_will_not_have_one_request_costs_that_item(settings):
    with Endpoint(faults=lambda body, nth: "403" if "test 1." in body["messages"][0]["content"] else None) as endpoint:
        made, session = run(settings(endpoint, concurrency=1), 3)
        assert made == [right(3)[0], None, right(3)[2]]
        assert "403: You are not allowed" in session.failures[0].reason


@pytest.mark.parametrize("wish", ["3600", "1e30"])
def test_a_wish_for_hours_of_quiet_ends_the_run(settings, monkeypatch, wish):
    says(monkeypatch, "429", 429, {"Retry-After": wish}, code="rate_limit_exceeded")
    with Endpoint(faults=lambda body, nth: "429") as endpoint:
        assert "wants to be left alone for " in stopped(settings(endpoint), 3)


def test_a_wish_without_end_is_none(settings, monkeypatch):
    says(monkeypatch, "429", 429, {"Retry-After": "inf"}, code="rate_limit_exceeded")
    with Endpoint(faults=lambda body, nth: "429" if nth == 0 else None) as endpoint:
        assert run(settings(endpoint))[0] == right()


def test_refusals_without_a_reply_say_why_and_what_to_mend(settings, monkeypatch):
    says(monkeypatch, "400", 400, message="Unsupported value: 'temperature'.")
    with Endpoint(faults=lambda body, nth: "400") as endpoint:
        said = stopped(settings(endpoint, concurrency=1), 50)
        assert (
            "the first 20 requests, the last: refused by the endpoint (400: Unsupported value: 'temperature'.)" in said
        )
        assert said.endswith("mend llm.parameters or llm.model")
        assert len(endpoint.requests) == 20


def test_another_host_never_gets_the_key(settings, key, monkeypatch):
    with Endpoint() as other:
        says(monkeypatch, "400", 308, {"Location": f"{other.url}/chat/completions"})
        with Endpoint(faults=lambda body, nth: "400") as endpoint:
            _, session = run(settings(endpoint, key_header="api-key", **key), 2)
            assert all(failure.reason.startswith("refused by the endpoint (308") for failure in session.failures)
            assert len(session.failures) == 2
        assert other.requests == []


@pytest.mark.parametrize("held", ["sk-one\nsk-two", "“sk-one”", "sk one"])
def test_what_is_no_key_is_told_without_repeating_it(settings, monkeypatch, held):
    monkeypatch.setenv("ISOGLOSS_TEST_KEY", held)
    with Endpoint() as endpoint:
        said = stopped(settings(endpoint, key_env="ISOGLOSS_TEST_KEY"))
        assert said.startswith("what ISOGLOSS_TEST_KEY holds is no key")
        assert "sk" not in said
        assert endpoint.requests == []


def test_a_key_in_place_of_its_variable_is_not_repeated(workspace):
    workspace.edit(llm__key_env=KEY)
    message = r"llm\.key_env: what is given is no name of an environment variable"
    for read in (read_llm, params.load):
        with pytest.raises(UserError, match=message) as caught:
            read()
        assert KEY not in str(caught.value)
