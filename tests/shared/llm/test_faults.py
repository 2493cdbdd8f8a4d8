"""direct: through every fault of an endpoint, nothing is paid for twice and nothing that was paid for is lost."""

import pytest

from stages.shared.endpoint import sending
from tests.fakes import endpoint as server
from tests.fakes.endpoint import Endpoint
from tests.shared.llm.conftest import once_each, right, rows, run

PASSING = ("429", "429-date", "500", "503-retry-after", "hang", "reset", "cut", "not-json", "empty-choices")
PASSING += ("200-500", "200-429", "choice-error", "broken-off", "endless", "trickle", "bomb", "deep")
READABLE = ("no-usage", "text-usage", "odd-usage", "fences", "prose", "think", "draft")
ASKED_AGAIN = ("length", "truncated", "invalid", "schema", "wrong-language", "think-cut", "draft-cut", "thought")
# Those that are met after so many seconds.
SLOW = ("hang", "trickle")
CUT = "no usable reply in 3 tries: the reply was cut off at its greatest length, so write less; "
MEND = "raise max_completion_tokens in llm.parameters, or have the model think less"
LASTING = {
    "429": "no reply in 3 attempts, the last: 429: Rate limit reached",
    "500": "no reply in 2 attempts, the last: 500: The server had an error",
    "503-retry-after": "no reply in 2 attempts, the last: 503: The engine is overloaded",
    "hang": "no reply in 2 attempts, the last: no reply within 0.3 s",
    "reset": "no reply in 2 attempts, the last: connection failed (ContentLengthError: 400, message: Not enough data",
    "cut": "no reply in 2 attempts, the last: connection failed (ContentLengthError: 400, message: Not enough data",
    "not-json": "no reply in 2 attempts, the last: the endpoint's answer is not JSON",
    "empty-choices": "no reply in 2 attempts, the last: the endpoint's answer holds no reply",
    "trickle": "no reply in 2 attempts, the last: no reply within 0.3 s",
    "endless": "no reply in 2 attempts, the last: the endpoint's answer is longer than 16 MiB",
    "bomb": "no reply in 2 attempts, the last: the endpoint's answer is longer than 16 MiB",
    "deep": "no reply in 2 attempts, the last: the endpoint's answer is nested too deeply",
    "200-500": "no reply in 2 attempts, the last: 500: The server had an error",
    "200-429": "no reply in 3 attempts, the last: 429: Rate limit reached",
    "choice-error": "no reply in 2 attempts, the last: 502: Provider returned error: no power, ",
    "broken-off": "no reply in 2 attempts, the last: the endpoint broke the reply off, and says no reason",
    "400": "refused by the endpoint (400: Invalid value for 'messages'.)",
    "200-400": "refused by the endpoint (400: Invalid value for 'messages'.)",
    "misplaced": "the reply's content is empty, and the JSON is in its 'reasoning_content': the server takes all",
    "think-cut": f"{CUT}no JSON object in the reply, which ends within its reasoning; {MEND}",
    "draft-cut": f"{CUT}no JSON object in the reply (",
    "thought": f"{CUT}no JSON object in the reply; {MEND}",
    "length": f"{CUT}no JSON object in the reply (",
    "truncated": "no usable reply in 3 tries: no JSON object in the reply (",
    "invalid": "no usable reply in 3 tries: no JSON object in the reply",
    "schema": "no usable reply in 3 tries: not the form asked for (queries: Field required)",
    "refusal": "refused: I can't help with that.",
    "filtered": "withheld by the endpoint's content filter",
}


def meets(fault, body, nth):
    """Item 1 meets the fault at its first attempt, the others never."""
    asked = body["messages"]
    return fault if "test 1." in asked[0]["content"] and len(asked) == 1 and nth == 0 else None


@pytest.mark.parametrize("fault", PASSING + READABLE + ASKED_AGAIN)
def test_a_fault_that_passes_changes_nothing(settings, fault):
    with Endpoint(faults=lambda body, nth: meets(fault, body, nth)) as endpoint:
        llm = settings(endpoint, timeout=0.3 if fault in SLOW else 5.0)
        made, session = run(llm)
        assert made == right()
        assert session.failures == []
        faults = [r.fault for r in endpoint.requests]
        assert sorted(faults, key=str) == sorted([fault, *[None] * (2 if fault in READABLE else 3)], key=str)
        assert endpoint.answers().total() == (4 if fault in ASKED_AGAIN else 3)
        assert once_each(endpoint, llm)
        assert run(llm)[0] == made
        assert len(endpoint.requests) == len(faults)


@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts_is_one_failure_with_its_reason(settings, monkeypatch, fault):
    monkeypatch.setattr(sending, "BUSY", 0.5)  # or the test would wait eleven times
    with Endpoint(faults=lambda body, nth: fault if "test 1." in body["messages"][0]["content"] else None) as endpoint:
        llm = settings(endpoint, timeout=0.3 if fault in SLOW else 5.0, retries=1)
        made, session = run(llm)
        assert made == [right()[0], None, right()[2]]
        ((job, task, reason),) = session.failures
        assert (job, task) == ("queries", "item 1")
        assert reason.startswith(LASTING[fault])
        if fault == "misplaced":  # what a server that is mended must be asked again is not kept
            assert len(rows(llm)) == 2
        else:
            assert once_each(endpoint, llm)
        # Its replies, if it has any, are those of the next run too; without any it is asked for anew.
        paid = endpoint.answers().total() > 2 and fault != "misplaced"
        endpoint.faults = None
        before = len(endpoint.requests)
        made, again = run(llm)
        assert (made[1], again.failures) == ((None, session.failures) if paid else (right()[1], []))
        assert len(endpoint.requests) - before == (0 if paid else 1)
        assert fault == "misplaced" or once_each(endpoint, llm)


def test_a_limit_that_is_met_again_and_again_costs_no_item(settings, monkeypatch):
    """A 429 is no failure of the request: far more of them than `retries` are waited for."""
    status, _, *others = server.ERRORS["429"]
    monkeypatch.setitem(server.ERRORS, "429", (status, {"retry-after-ms": "100"}, *others))
    with Endpoint(faults=lambda body, nth: "429" if nth < 3 else None) as endpoint:
        made, session = run(settings(endpoint, retries=1), 2)
        assert made == right(2)
        assert session.failures == []
        assert len(endpoint.requests) == 8


def test_a_reply_that_has_the_form_is_taken_if_no_better_one_comes(settings):
    with Endpoint(faults=lambda body, nth: "wrong-language") as endpoint:
        llm = settings(endpoint)
        ((made,), session) = run(llm, 1)
        assert session.failures == []
        assert len(made) == 2
        assert all(query.isascii() for query in made)
        assert len(endpoint.requests) == 3
        assert once_each(endpoint, llm)


@pytest.mark.parametrize(("fault", "seconds"), [("429", 1), ("429-date", 0.9), ("503-retry-after", 0.3)])
def test_everyone_waits_as_long_as_the_endpoint_asks(settings, fault, seconds):
    with Endpoint(latency=0.05, faults=lambda body, nth: meets(fault, body, nth)) as endpoint:
        made, _ = run(settings(endpoint, concurrency=2), 8)
        assert made == right(8)
        (told,) = [r.at + endpoint.latency for r in endpoint.requests if r.fault]
        # What is in flight when the wish comes may still be followed by one that was just let go.
        assert not [r for r in endpoint.requests if told + 0.1 < r.at < told + seconds]
        assert len([r for r in endpoint.requests if r.at >= told + seconds]) >= 6


@pytest.mark.parametrize("fault", ["429", "503-retry-after"])
def test_a_wish_to_wait_no_time_is_not_taken_at_its_word(settings, monkeypatch, fault):
    monkeypatch.setattr(sending, "BUSY", 1.0)
    status, _, *others = server.ERRORS[fault]
    monkeypatch.setitem(server.ERRORS, fault, (status, {"Retry-After": "0"}, *others))
    with Endpoint(faults=lambda body, nth: meets(fault, body, 0)) as endpoint:
        _, session = run(settings(endpoint))
        assert [f.reason[:23] for f in session.failures] == ["no reply in 3 attempts,"]
        assert len(endpoint.requests) == 5


@pytest.mark.parametrize(("fault", "asked"), [("400-schema", "json_object"), ("400-format", None)])
def test_a_form_that_the_endpoint_does_not_know_is_asked_for_in_a_laxer_way(settings, fault, asked):
    with Endpoint(faults=lambda body, nth: fault) as endpoint:
        llm = settings(endpoint, retries=0)
        made, session = run(llm, 20)
        assert made == right(20)
        assert session.failures == []
        answered = [r.body.get("response_format", {}).get("type") for r in endpoint.requests if r.answered]
        assert answered == [asked] * 20
        # All that were in flight learn it at the same time, the others before they are sent.
        assert len(endpoint.requests) <= 20 + 2 * llm.concurrency
        before = len(endpoint.requests)
        assert run(llm.model_copy(update={"structured": "schema"}), 20)[0] == made
        assert len(endpoint.requests) == before
        assert len(rows(llm)) == 20


def test_a_form_that_is_insisted_on_is_not_asked_for_otherwise(settings):
    with Endpoint(faults=lambda body, nth: "400-schema") as endpoint:
        _, session = run(settings(endpoint, structured="schema"))
        assert [f.reason for f in session.failures] == [
            "refused by the endpoint (400: response_format.type json_schema is not supported)"
        ] * 3


def test_one_item_that_never_works_does_not_make_an_endpoint_dead(settings):
    with Endpoint(faults=lambda body, nth: "500" if "test 1." in body["messages"][0]["content"] else None) as endpoint:
        llm = settings(endpoint, retries=8, patience=0.1)
        for _ in range(2):  # the second time nothing else is asked for
            made, session = run(llm)
            assert made == [right()[0], None, right()[2]]
            assert [f.reason[:23] for f in session.failures] == ["no reply in 9 attempts,"]


def test_items_that_are_refused_are_so_again_when_the_others_are_in_the_cache(settings):
    with Endpoint(faults=lambda body, nth: None if "test 0." in body["messages"][0]["content"] else "400") as endpoint:
        llm = settings(endpoint, concurrency=1)
        first = run(llm, 30)
        assert len(first[1].failures) == 29
        again = run(llm, 30)
        assert (again[0], again[1].failures) == (first[0], first[1].failures)
