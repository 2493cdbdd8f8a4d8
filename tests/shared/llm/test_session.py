"""session: what tasks make of replies, and what a dry run says before anything is asked."""

import pytest

from stages.shared.llm.request import Failed
from stages.shared.llm.session import Estimate, Session, WritingTask
from tests.fakes.endpoint import Endpoint
from tests.shared.llm import asking
from tests.shared.llm.conftest import right, rows, run

PRICED = {"prices": {"input": 1.0, "output": 4.0}}
MODES = pytest.mark.parametrize("mode", ["direct", "batch"])


@MODES
def test_a_dry_run_asks_nothing(settings, monkeypatch, mode):
    monkeypatch.delenv("ISOGLOSS_TEST_KEY", raising=False)
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode=mode, key_env="ISOGLOSS_TEST_KEY", **PRICED)
        made, session = run(llm, 6, dry_run=True, translated=True)
        assert endpoint.requests == []
        assert rows(llm) == []
        assert [len(texts) for texts in made] == [4] * 6
        ((job, requests, cached, sent, back, dollars),) = session.estimates
        assert (job, requests, cached) == ("queries", 12, 0)
        assert dollars == pytest.approx((sent + 4 * back) / 1e6)
        assert sent > back > 0
        assert session.failures == []


def test_a_dry_run_after_a_whole_one_says_that_all_is_there(settings):
    with Endpoint(faults=lambda body, nth: "invalid" if len(body["messages"]) == 1 else None) as endpoint:
        llm = settings(endpoint, **PRICED)
        made, _ = run(llm, 6, translated=True)
        asked = len(endpoint.requests)
        assert asked == 24
        again, dry = run(llm, 6, dry_run=True, translated=True)
        assert again == made == right(6, translated=True)
        assert dry.estimates == [("queries", 24, 24, 0.0, 0.0, 0.0)]
        assert len(endpoint.requests) == asked
        assert Estimate.sum([*dry.estimates] * 2) == ("all", 48, 48, 0.0, 0.0, 0.0)
        assert Estimate.sum([]) == ("all", 0, 0, 0, 0, 0)


def test_a_dry_run_learns_from_the_replies_that_are_there(settings):
    with Endpoint() as endpoint:
        llm = settings(endpoint, **PRICED)
        first = run(llm, 20, translated=True)[1].meter
        ((_, requests, cached, sent, back, dollars),) = run(llm, 60, dry_run=True, translated=True)[1].estimates
        assert (requests, cached) == (120, 40)
        whole = run(llm, 60, translated=True)[1].meter
        assert sent == pytest.approx(whole.prompt_tokens - first.prompt_tokens, rel=0.5)
        assert back == pytest.approx(whole.completion_tokens - first.completion_tokens, rel=0.1)
        assert dollars == pytest.approx(whole.cost - first.cost, rel=0.5)


@MODES
def test_what_two_items_ask_for_is_asked_once(settings, mode):
    with Endpoint(latency=0.05) as endpoint:
        llm = settings(endpoint, mode=mode)
        item = asking.tasks(llm, 1)
        with Session(llm, "synthesize", "ask for none") as session:
            made = session.run({"one": item * 5, "two": [*item, *asking.tasks(llm, 1, begin=1)], "none": []})
        assert made == {"one": right(1) * 5, "two": right(2)}
        assert endpoint.answers().total() == 2
        assert session.items == {"one": 5, "two": 2}
        assert session.meter.sent == 2
        assert list(session.used.values()) == ["item 0", "item 1"]


@MODES
def test_a_refused_request_fails_all_items_that_ask_for_it(settings, mode):
    with Endpoint(latency=0.05, faults=lambda body, nth: "400") as endpoint:
        llm = settings(endpoint, mode=mode)
        with Session(llm, "synthesize", "ask for none") as session:
            assert session.run({"one": asking.tasks(llm, 1) * 3}) == {"one": [None] * 3}
        assert [(f.job, f.task) for f in session.failures] == [("one", "item 0")] * 3
        assert sum(r.fault == "400" for r in endpoint.requests) == (1 if mode == "direct" else 0)


def test_an_item_may_need_no_reply_or_give_up_by_itself(settings):
    def fails():
        raise Failed("no text")
        yield

    def needs_nothing():
        return 7
        yield

    with Endpoint() as endpoint, Session(settings(endpoint), "synthesize", "ask for none") as session:
        assert session.run({"job": [WritingTask("a", fails), WritingTask("b", needs_nothing)]}) == {"job": [None, 7]}
        assert session.failures == [("job", "a", "no text")]
        assert endpoint.requests == []


def test_jobs_build_on_each_other(settings):
    with Endpoint() as endpoint, Session(settings(endpoint), "synthesize", "ask for none") as session:
        first = session.run({"one": asking.tasks(session.llm, 4)})["one"]
        again = session.run({"two": asking.tasks(session.llm, 4, translated=True)})["two"]
        assert [texts[:2] for texts in again] == first == right(4)
        assert endpoint.answers().total() == 8
        assert session.items == {"one": 4, "two": 4}
