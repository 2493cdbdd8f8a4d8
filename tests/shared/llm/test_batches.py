"""batch: whole runs, half-finished batches, and kills at any point: nothing is answered twice."""

import asyncio
import json
import signal
import time

import pytest

from stages.shared.llm.batch import Batches
from stages.shared.llm.cache import Cache, path_of
from stages.shared.llm.meter import Meter
from stages.shared.llm.request import Reply
from tests.fakes.endpoint import Endpoint
from tests.shared.llm import asking
from tests.shared.llm.conftest import ended, once_each, right, rows, run, stopped

TABLES = ("batches", "batched", "claims")


def met(fault, numbers, times=1):
    """These items meet the fault the first `times` times."""

    def faults(body, nth):
        asked = body["messages"][0]["content"]
        return fault if nth < times and any(f"test {n}." in asked for n in numbers) else None

    return faults


def sizes(endpoint):
    return [batch["request_counts"]["total"] for batch in endpoint.batches.values()]


def left(llm):
    return [row for table in TABLES for row in rows(llm, table)]


def test_a_whole_run_goes_in_batches(settings):
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode="batch", batch_size=4)
        made, session = run(llm, 10, translated=True)
        assert made == right(10, translated=True)
        # What follows from replies goes into the next ones.
        assert sizes(endpoint) == [4, 4, 2, 4, 4, 2]
        assert session.failures == []
        assert once_each(endpoint, llm)
        assert (session.meter.sent, session.meter.cached) == (20, 0)
        assert not [r for r in endpoint.requests if r.path == "/v1/chat/completions"]
        before = len(endpoint.requests)
        assert run(llm, 10, translated=True)[0] == made
        assert run(llm.model_copy(update={"mode": "direct"}), 10, translated=True)[0] == made
        assert len(endpoint.requests) == before
        assert left(llm) == []


def test_what_is_in_a_batch_is_not_sent_directly_as_well(settings):
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode="direct")
        cache = Cache(path_of(llm.cache, asking.ROOT))
        cache.open_batch("tag", endpoint.url, [next(asking.tasks(llm, 2)[1].steps())])
        cache.close()
        assert "that is not collected: set llm.mode to batch and run again" in stopped(llm, 2)
        assert [r.path for r in endpoint.requests].count("/v1/chat/completions") <= 1


def test_errors_that_pass_are_mended_by_another_batch(settings):
    with Endpoint(faults=met("500", range(3))) as endpoint:
        llm = settings(endpoint, mode="batch")
        made, session = run(llm, 10)
        assert made == right(10)
        assert sizes(endpoint) == [10, 3]
        assert session.failures == []
        assert once_each(endpoint, llm)


@pytest.mark.parametrize(
    ("fault", "batches", "reason"),
    [
        ("500", [4, 1], "no reply in 2 batches, the last: 500: The server had an error"),
        ("429", [4, 1], "no reply in 2 batches, the last: 429: Rate limit reached"),
        ("hang", [4, 1], "no reply in 2 batches, the last: 500: "),
        ("empty-choices", [4, 1], "no reply in 2 batches, the last: the endpoint's answer holds no reply"),
        ("expired", [4, 1], "no reply in 2 batches, the last: 500: The batch was expired"),
        ("200-500", [4, 1], "no reply in 2 batches, the last: 500: The server had an error"),
        ("choice-error", [4, 1], "no reply in 2 batches, the last: 502: Provider returned error: no power, "),
        ("broken-off", [4, 1], "no reply in 2 batches, the last: the endpoint broke the reply off"),
        ("200-400", [4], "refused by the endpoint (400: Invalid value for 'messages'.)"),
        ("400", [4], "refused by the endpoint (400: Invalid value for 'messages'.)"),
        ("refusal", [4], "refused: I can't help with that."),
        ("schema", [4, 1, 1], "no usable reply in 3 tries: not the form asked for (queries: Field required)"),
    ],
)
def test_an_error_that_lasts_is_one_failure_with_its_reason(settings, fault, batches, reason):
    with Endpoint(faults=met(fault, [1], times=9)) as endpoint:
        llm = settings(endpoint, mode="batch", retries=1)
        made, session = run(llm, 4)
        assert made == [right(4)[0], None, *right(4)[2:]]
        assert sizes(endpoint) == batches
        ((job, task, found),) = session.failures
        assert (job, task) == ("queries", "item 1")
        assert found.startswith(reason)
        assert once_each(endpoint, llm)


def test_lines_that_are_none_cost_no_others(settings, caplog):
    with Endpoint() as endpoint:
        finish = endpoint._finish

        def spoils(batch, *some):
            finish(batch, *some)
            file, content = endpoint._files[batch["output_file_id"]]
            first, _, rest = content.partition(b"\n")
            if len(endpoint.batches) == 1:
                endpoint._files[file["id"]] = file, first[:20] + b"\n[" + b"[" * 99_999 + b"\n7\n\xff\n" + rest

        endpoint._finish = spoils
        llm = settings(endpoint, mode="batch")
        assert run(llm, 4)[0] == right(4)
        assert sizes(endpoint) == [4, 1]
        assert "4 lines of the file file-" in caplog.text and "are no JSON: left out" in caplog.text


@pytest.mark.parametrize("answer", [{"error": {"message": "no power", "code": 503}}, [], {}, b"<html>", b'{"id": '])
def test_what_is_no_batch_is_one_sentence(settings, answer):
    with Endpoint() as endpoint:
        endpoint._create = lambda body: answer
        said = stopped(settings(endpoint, mode="batch", retries=0))
        assert endpoint.url in said


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_what_an_unfinished_batch_has_answered_is_kept(settings, end):
    with Endpoint(batch_end=[end, end]) as endpoint:
        llm = settings(endpoint, mode="batch")
        made, session = run(llm, 20)
        assert made == right(20)
        assert sizes(endpoint) == [20, 10, 5]
        assert session.failures == []
        assert once_each(endpoint, llm)


def test_a_batch_that_fails_is_one_sentence_and_leaves_nothing_behind(settings):
    with Endpoint(batch_end=["failed"]) as endpoint:
        llm = settings(endpoint, mode="batch")
        said = stopped(llm)
        assert said == (
            f"synthesize, queries: {endpoint.url} takes no batch of this size (Enqueued token limit reached.): "
            "lower llm.batch_size"
        )
        assert left(llm) == []
        assert run(llm)[0] == right()
        assert sizes(endpoint) == [3, 3]


def test_batches_that_the_account_has_no_room_for_wait_until_others_are_done(settings):
    with Endpoint(batch_end=["completed", "failed", "failed"]) as endpoint:
        llm = settings(endpoint, mode="batch", batch_size=2)
        made, session = run(llm, 6)
        assert made == right(6)
        assert session.failures == []
        assert sizes(endpoint) == [2, 2, 2, 2, 2]
        assert once_each(endpoint, llm)


@pytest.mark.parametrize(("fault", "kind"), [("400-schema", "json_object"), ("400-format", None)])
def test_a_form_that_the_endpoint_does_not_know_is_asked_for_in_a_laxer_way(settings, fault, kind):
    with Endpoint(faults=lambda body, nth: fault) as endpoint:
        llm = settings(endpoint, mode="batch")
        made, session = run(llm)
        assert made == right()
        assert session.failures == []
        assert {json.loads(body).get("response_format", {}).get("type") for body in endpoint.answers()} == {kind}
        assert once_each(endpoint, llm)


@pytest.mark.parametrize(("die", "batches"), [("before", 0), ("after", 1)])
def test_a_kill_while_a_batch_is_submitted_sends_nothing_twice(settings, start, die, batches):
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode="batch")
        assert start(llm, 10, die=die).wait(60) == -signal.SIGKILL
        assert len(endpoint.batches) == batches
        ((_, _, _, name),) = rows(llm, "batches")
        assert name is None
        made, session = run(llm, 10)
        assert made == right(10)
        assert session.failures == []
        assert sizes(endpoint) == [10]
        assert once_each(endpoint, llm)
        assert left(llm) == []


def in_progress(endpoint, process):
    while not any(batch["status"] == "in_progress" for batch in endpoint.batches.values()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def kill_in_progress(start, endpoint, llm, count=6):
    """A process that is killed while the endpoint works on its batch."""
    process = start(llm, count)
    in_progress(endpoint, process)
    process.kill()
    process.wait()


def test_a_kill_while_a_batch_is_in_progress_sends_nothing_twice(settings, start):
    with Endpoint(polls=10**9) as endpoint:
        llm = settings(endpoint, mode="batch")
        for _ in range(2):
            process = start(llm, 10)
            in_progress(endpoint, process)
            process.kill()
            process.wait()
        endpoint.polls = 0
        assert run(llm, 10)[0] == right(10)
        assert sizes(endpoint) == [10]
        assert once_each(endpoint, llm)


def test_an_interrupted_wait_goes_on_the_next_time(settings, start):
    with Endpoint(polls=10**9) as endpoint:
        llm = settings(endpoint, mode="batch")
        process = start(llm, 10)
        in_progress(endpoint, process)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=20)[1]
        assert process.returncode == 1
        assert output.splitlines()[-1] == "error: interrupted; run the same command again to go on"
        assert "Traceback" not in output
        endpoint.polls = 0
        assert run(llm, 10)[0] == right(10)
        assert sizes(endpoint) == [10]


def test_a_batch_that_is_not_wanted_any_more_does_not_disturb(settings, start):
    with Endpoint(polls=10**9) as endpoint:
        llm = settings(endpoint, mode="batch")
        kill_in_progress(start, endpoint, llm)
        endpoint.polls = 2
        # Items 3 to 9: half of it is wanted; then none of it; then the rest.
        for begin in (3, 10, 0):
            made, session = run(llm, 7, begin=begin)
            assert made == right(7, begin)
            assert session.failures == []
        assert sizes(endpoint) == [6, 4, 7]
        assert once_each(endpoint, llm)
        assert left(llm) == []


def test_an_unwanted_batch_stays_for_those_who_want_it_again(settings, start):
    with Endpoint(polls=10**9) as endpoint:
        llm = settings(endpoint, mode="batch")
        kill_in_progress(start, endpoint, llm)
        old, endpoint.polls = list(endpoint.batches), 0
        assert run(llm, 4, begin=50)[0] == right(4, 50)
        assert endpoint.batches[old[0]]["status"] == "in_progress"
        assert len(rows(llm, "batches")) == 1
        assert run(llm, 6)[0] == right(6)
        assert sizes(endpoint) == [6, 4]


def test_another_endpoint_does_not_wait_for_the_batches_of_the_first(settings, start):
    with Endpoint(polls=10**9) as first, Endpoint() as second:
        llm = settings(first, mode="batch")
        kill_in_progress(start, first, llm)
        assert run(settings(second, mode="batch"), 6)[0] == right(6)
        assert sizes(second) == [6]
        assert run(llm, 6)[0] == right(6)
        assert not first.answers()


def give_up(llm):
    cache = Cache(path_of(llm.cache, asking.ROOT))
    given_up = cache.forget_batches()
    cache.close()
    return given_up


def test_a_batch_that_the_endpoint_has_forgotten_is_submitted_again_only_if_it_is_given_up(settings, start):
    with Endpoint(polls=10**9) as endpoint:
        llm = settings(endpoint, mode="batch")
        kill_in_progress(start, endpoint, llm)
    with Endpoint(port=endpoint.port) as endpoint:
        assert "use the key that submitted it, or give it up with" in stopped(llm, 6)
        assert not endpoint.batches
        (given_up,) = give_up(llm)
        assert given_up.endswith(f" at {endpoint.url}")
        made, session = run(llm, 6)
        assert made == right(6)
        assert session.failures == []
        assert sizes(endpoint) == [6]
        assert left(llm) == []


def test_files_that_the_endpoint_keeps_no_longer_are_asked_for_anew(settings):
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode="batch")
        create, lost = endpoint._finish, []

        def finish(batch, *some):
            create(batch, *some)
            if not lost:
                lost.append(endpoint._files.pop(batch["output_file_id"]))

        endpoint._finish = finish
        assert "or its files" in stopped(llm, 3)
        assert sizes(endpoint) == [3]
        give_up(llm)
        assert run(llm, 3)[0] == right()
        assert sizes(endpoint) == [3, 3]


def test_how_the_url_is_spelt_makes_no_other_endpoint(settings, start):
    with Endpoint(polls=10**9) as endpoint:
        llm = settings(endpoint, mode="batch")
        kill_in_progress(start, endpoint, llm)
        endpoint.polls = 0
        assert run(llm.model_copy(update={"base_url": endpoint.url + "/"}), 6)[0] == right(6)
        assert sizes(endpoint) == [6]


def test_what_a_living_process_is_sending_goes_into_no_batch(settings):
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode="batch")
        other, mine = (Cache(path_of(llm.cache, asking.ROOT)) for _ in range(2))
        first, second = (next(asking.steps(llm, number)) for number in range(2))
        assert other.claim(first.key)
        assert mine.open_batch("tag", endpoint.url, [first, second]) == [second]
        other.close()
        assert mine.open_batch("later", endpoint.url, [first, second]) == [first]
        mine.close()


def test_two_processes_share_one_batch(settings, start):
    with Endpoint(polls=60) as endpoint:
        llm = settings(endpoint, mode="batch", batch_size=50)
        processes = [start(llm, 100, translated=True) for _ in range(2)]
        for process in processes:
            ended(process)
            assert json.loads(process.out.read_text())["made"] == right(100, translated=True)
        assert once_each(endpoint, llm)
        assert left(llm) == []


def test_what_another_process_has_just_answered_is_not_submitted(settings):
    with Endpoint() as endpoint:
        llm = settings(
            endpoint, mode="batch", max_cost_usd=1.0, prices={"input": 1.0, "output": 1.0}, parameters={"max_tokens": 9}
        )
        request = next(asking.steps(llm, 0))
        cache, meter = Cache(path_of(llm.cache, asking.ROOT)), Meter(llm)
        cache.put(request, Reply('{"queries": ["가", "나"]}'))
        batches = Batches(llm, cache, meter)
        rounds = iter([{request.key: request}, {}])
        asyncio.run(batches.run(lambda refused: next(rounds)))
        assert batches.stopped is None
        assert not endpoint.batches
        assert meter._reserved == 0
        cache.close()


def test_pages_of_batches_are_searched_to_the_end(settings, start):
    with Endpoint() as endpoint:
        llm = settings(endpoint, mode="batch", batch_size=1)
        assert start(llm, 1, die="after").wait(60) == -signal.SIGKILL
        # A hundred and twenty of other people came after it.
        (ours,) = endpoint.batches.values()
        for i in range(120):
            endpoint.batches[f"other-{i}"] = ours | {"id": f"other-{i}", "metadata": {"isogloss": f"{i}"}}
        assert run(llm, 1)[0] == right(1)
        assert len(endpoint.batches) == 121
        assert once_each(endpoint, llm)
