"""What is sent is within the limits: dollars, requests and tokens a minute, requests at once."""

import pytest

from stages.check import params
from stages.settings.llm import read_llm
from stages.shared.errors import UserError
from stages.shared.llm.meter import FRAME, Meter
from tests.fakes.endpoint import Endpoint
from tests.shared.llm import asking
from tests.shared.llm.conftest import once_each, right, rows, run, spent, stopped

PRICED = {"prices": {"input": 10.0, "output": 30.0}, "parameters": {"max_completion_tokens": 200}}
MODES = pytest.mark.parametrize("mode", ["direct", "batch"])


def request(llm, number=0):
    return next(asking.steps(llm, number))


@MODES
def test_a_run_stops_before_the_limit_and_goes_on_when_it_is_raised(settings, mode):
    with Endpoint(latency=0.01) as endpoint:
        llm = settings(endpoint, mode=mode, **PRICED)
        limit = 5 * Meter(llm).bound(request(llm))
        llm = llm.model_copy(update={"max_cost_usd": limit})
        said = stopped(llm, 40)
        assert f"beyond llm.max_cost_usd (${limit:g}); replies so far are kept: raise it and run again to go on" in said
        # No more than one bound is left over.
        assert limit - Meter(llm).bound(request(llm)) < spent(endpoint, llm) <= limit
        assert f"stopped at ${spent(endpoint, llm):.4f}: " in said
        assert once_each(endpoint, llm)
        kept = len(rows(llm))
        assert 10 < kept < 30
        # Replies in the cache count, whatever the order of the items.
        assert stopped(llm, 40) == stopped(llm, 41, begin=-1) == said
        assert len(rows(llm)) == endpoint.answers().total() == kept
        made, session = run(llm.model_copy(update={"max_cost_usd": 3 * limit}), 40)
        assert made == right(40)
        assert once_each(endpoint, llm)
        assert session.meter.cost == pytest.approx(spent(endpoint, llm))
        assert (session.meter.sent, session.meter.cached) == (40 - kept, kept)


def test_an_attempt_that_never_arrived_costs_nothing(settings):
    with Endpoint() as endpoint:
        llm = settings(endpoint, retries=1, max_cost_usd=1.0, **PRICED)
    _, session = run(llm, 1)
    assert session.failures[0].reason.startswith("no reply in 2 attempts, the last: connection failed (Connection")
    assert session.meter.cost == 0


@MODES
def test_a_limit_below_one_request_sends_nothing(settings, mode):
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode=mode, max_cost_usd=1e-4, **PRICED)
        assert "stopped at $0.0000: " in stopped(llm)
        assert not endpoint.answers()
        assert not endpoint.batches


def test_an_attempt_whose_reply_is_lost_counts_at_its_bound(settings):
    def faults(body, nth):
        return "reset" if "test 1." in body["messages"][0]["content"] and nth == 0 else None

    with Endpoint(faults=faults) as endpoint:
        llm = settings(endpoint, **PRICED)
        _, session = run(llm)
        assert session.meter.cost == pytest.approx(spent(endpoint, llm) + session.meter.bound(request(llm, 1)))


@pytest.mark.parametrize(("fault", "attempts"), [("reset", 3), ("hang", 3), ("500", 9)])
def test_only_attempts_that_may_be_billed_use_up_the_limit(settings, fault, attempts):
    with Endpoint(faults=lambda body, nth: fault) as endpoint:
        llm = settings(endpoint, retries=8, patience=60.0, timeout=0.1 if fault == "hang" else 5.0, **PRICED)
        llm = llm.model_copy(update={"max_cost_usd": 3.5 * Meter(llm).bound(request(llm))})
        if attempts == 9:
            assert "no reply in 9 attempts" in run(llm, 1)[1].failures[0].reason
        else:
            assert "beyond llm.max_cost_usd" in stopped(llm, 1)
        assert len(endpoint.requests) == attempts


def test_what_the_endpoint_does_not_count_is_counted_by_bytes(settings):
    with Endpoint(faults=lambda body, nth: "no-usage") as endpoint:
        llm = settings(endpoint, **PRICED)
        _, session = run(llm, 1)
        asked = request(llm)
        ((content,),) = [[row[6]] for row in rows(llm)]
        assert session.meter.cost == pytest.approx(session.meter.price(asked.size + FRAME, len(content.encode())))
        assert spent(endpoint, llm) < session.meter.cost <= session.meter.bound(asked) * 2


@MODES
@pytest.mark.parametrize("fault", ["text-usage", "odd-usage"])
def test_a_reply_is_kept_whatever_is_said_of_its_tokens(settings, mode, fault):
    with Endpoint(faults=lambda body, nth: fault) as endpoint:
        llm = settings(endpoint, mode=mode, **PRICED)
        made, session = run(llm)
        assert made == right()
        assert once_each(endpoint, llm)
        if fault == "text-usage":
            assert session.meter.cost == pytest.approx(spent(endpoint, llm))
        else:  # by bytes
            assert session.meter.prompt_tokens == session.meter.completion_tokens == 0
            assert session.meter.cost > spent(endpoint, llm)
        again = run(llm)[1]
        assert again.meter.cost == pytest.approx(session.meter.cost)
        assert once_each(endpoint, llm)


@MODES
def test_a_reply_in_the_wrong_place_may_be_billed(settings, mode):
    with Endpoint(faults=lambda body, nth: "misplaced") as endpoint:
        llm = settings(endpoint, mode=mode, **PRICED)
        _, session = run(llm, 1)
        assert "the JSON is in its 'reasoning_content'" in session.failures[0].reason
        assert "{enable_thinking: false}" in session.failures[0].reason
        assert session.meter.cost == pytest.approx(session.meter.bound(request(llm)))
        assert rows(llm) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_cost_usd": 1.0}, "max_cost_usd needs prices, and max_completion_tokens"),
        ({"max_cost_usd": 1.0, "prices": {"input": 1.0, "output": 1.0}}, "max_cost_usd needs prices, and max_comp"),
        ({"max_cost_usd": 1.0, "parameters": {"max_tokens": 9}}, "max_cost_usd needs prices, and max_completion"),
        ({"max_cost_usd": 0.0, **PRICED}, "max_cost_usd is 0.0"),
        ({"parameters": {"max_tokens": "9"}}, "a reply's greatest length is '9': write a whole number"),
        ({"parameters": {"n": 2}}, "parameters.n is set by the stage itself: remove it"),
    ],
)
def test_a_limit_that_nothing_would_keep_is_refused(workspace, changes, words):
    workspace.edit(**{f"llm__{key}": value for key, value in changes.items()})
    for read in (read_llm, params.load):
        with pytest.raises(UserError) as caught:
            read()
        assert words in str(caught.value)
        assert str(caught.value).startswith("params.yaml: llm")


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_requests_are_spread_over_the_minute(settings, limit):
    with Endpoint() as endpoint:
        llm = settings(endpoint)
        # About 65 tokens a request, as the endpoint counts them.
        made, session = run(llm.model_copy(update={limit: 600 if limit == "requests_per_minute" else 39_000}), 16)
        assert made == right(16)
        meter, times = session.meter, [r.at for r in endpoint.requests]
        assert 60 < (meter.prompt_tokens + meter.completion_tokens) / 16 < 70
        assert 1.2 < times[-1] - times[0] < 4
        assert min(times[i + 5] - times[i] for i in range(11)) > 0.3


@pytest.mark.parametrize("concurrency", [1, 5])
def test_no_more_requests_are_sent_at_once_than_allowed(settings, concurrency):
    with Endpoint(latency=0.03, faults=lambda body, nth: "500" if nth == 0 else None) as endpoint:
        made, _ = run(settings(endpoint, concurrency=concurrency), 15)
        assert made == right(15)
        assert endpoint.most == concurrency


def test_what_lost_replies_may_have_cost_is_remembered(settings):
    """Cut off again and again, each run would else spend the whole budget anew."""
    with Endpoint(faults=lambda body, nth: "cut") as endpoint:
        llm = settings(endpoint, concurrency=1, retries=100, **PRICED)
        llm = llm.model_copy(update={"max_cost_usd": 3.5 * Meter(llm).bound(request(llm))})
        assert "stopped at $" in stopped(llm, 2)
        assert len(endpoint.requests) == 3
        assert "stopped at $" in stopped(llm, 2)
        assert len(endpoint.requests) == 3
