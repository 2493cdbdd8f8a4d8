"""endpoint: what OpenAI's client meets there."""

import asyncio
import email.utils
import gzip
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import openai
import pytest

from tests.conftest import ROOT
from tests.fakes.endpoint import CONTENT_FAULTS, Endpoint, canonical
from tests.fakes.test_writer import scripts

PROMPT = (
    'You write search queries in Korean for a test.\nWrite 3 different ones.\nReply with JSON alone: {"queries": []}'
)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"type": "object"}}}


def client(endpoint, **settings):
    return openai.OpenAI(
        **{"base_url": endpoint.url, "api_key": "sk-secret", "max_retries": 0, "timeout": 5, **settings}
    )


def ask(endpoint, prompt=PROMPT, settings=None, **body):
    with client(endpoint, **(settings or {})) as connected:
        return connected.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}], **body)


def always(fault):
    return Endpoint(faults=lambda body, nth: fault)


def test_a_good_answer():
    with Endpoint() as endpoint:
        answer = ask(endpoint)
        assert ask(endpoint) == answer
    content = answer.choices[0].message.content
    assert len(json.loads(content)["queries"]) == 3
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == ("chat.completion", "m", "stop")
    assert answer.usage.prompt_tokens == -(-len(PROMPT.encode()) // 4)
    assert answer.usage.completion_tokens == -(-len(content.encode()) // 4)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    body = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
    assert endpoint.answers() == {canonical(body): 2}
    first, second = endpoint.requests
    assert (first.method, first.path, first.body, first.fault) == ("POST", "/v1/chat/completions", body, None)
    assert first.headers["authorization"] == "Bearer sk-secret"
    assert first.at < second.at
    endpoint.reset()
    assert (endpoint.requests, endpoint.answers(), endpoint.most) == ([], Counter(), 0)


@pytest.mark.parametrize(
    ("fault", "raised", "code"),
    [
        ("429", openai.RateLimitError, "rate_limit_exceeded"),
        ("429-date", openai.RateLimitError, "rate_limit_exceeded"),
        ("429-quota", openai.RateLimitError, "insufficient_quota"),
        ("500", openai.InternalServerError, None),
        ("503-retry-after", openai.InternalServerError, None),
        ("401", openai.AuthenticationError, "invalid_api_key"),
        ("403", openai.PermissionDeniedError, None),
        ("404", openai.NotFoundError, "model_not_found"),
        ("400", openai.BadRequestError, None),
        ("400-schema", openai.BadRequestError, None),
        ("400-format", openai.BadRequestError, None),
    ],
)
def test_an_error_status(fault, raised, code):
    with always(fault) as endpoint, pytest.raises(raised) as caught:
        ask(endpoint, response_format=SCHEMA)
    assert caught.value.code == code
    assert str(caught.value.status_code) == fault[:3]
    headers = caught.value.response.headers
    assert headers.get("retry-after-ms") == ("300" if fault == "503-retry-after" else None)
    if fault == "429-date":
        ahead = email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
        assert 0 < ahead <= 2
    else:
        assert headers.get("retry-after") == ("1" if fault == "429" else None)
    assert ("sk-secret" in str(caught.value)) == (fault == "401")
    assert [(r.fault, r.answered) for r in endpoint.requests] == [(fault, False)]
    assert not endpoint.answers()


@pytest.mark.parametrize("fault", ["hang", "reset", "cut"])
def test_a_broken_connection(fault):
    raised = openai.APITimeoutError if fault == "hang" else openai.APIConnectionError
    with always(fault) as endpoint:
        with pytest.raises(raised) as caught:
            ask(endpoint, settings={"timeout": 0.2})
        assert type(caught.value) is raised
        causes = {"hang": "ReadTimeout", "reset": "ReadError", "cut": "RemoteProtocolError"}
        assert type(caught.value.__cause__).__name__ == causes[fault]
        assert not endpoint.requests[0].answered
        assert not endpoint.answers()


def test_an_unusable_body_is_not_billed():
    with always("not-json") as endpoint:
        assert ask(endpoint).startswith("<html>")
        assert not endpoint.answers()
    with always("empty-choices") as endpoint:
        assert ask(endpoint).choices == []
        assert endpoint.requests[0].answered
        assert not endpoint.answers()
        assert endpoint.stats()["answered"] == 0


@pytest.mark.parametrize(
    ("fault", "code"), [("200-401", "invalid_api_key"), ("200-400", 400), ("choice-error", 502), ("broken-off", None)]
)
def test_an_error_within_an_answer_is_not_billed(fault, code):
    with always(fault) as endpoint:
        answer = ask(endpoint)
        assert not endpoint.answers()
    if fault.startswith("200"):
        assert answer.error["code"] == code
        return
    (choice,) = answer.choices
    assert choice.finish_reason == "error"
    assert (getattr(choice, "error", None) or {}).get("code") == code


@pytest.mark.parametrize("fault", ["endless", "trickle", "bomb"])
def test_an_answer_without_an_end_or_measure(fault):
    with always(fault) as endpoint:
        body = json.dumps({"model": "m", "messages": []}).encode()
        request = urllib.request.Request(f"{endpoint.url}/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            if fault == "bomb":
                assert len(gzip.decompress(answer.read())) == 32 << 20
            else:
                assert len(answer.read(8)) == 8 and answer.length is None


def test_the_fault_of_a_format_leaves_other_requests_alone():
    with always("400-schema") as endpoint:
        assert ask(endpoint, response_format={"type": "json_object"}).choices
        assert endpoint.requests[0].fault is None
    with always("400-format") as endpoint:
        assert ask(endpoint).choices
        with pytest.raises(openai.BadRequestError, match="response_format is not supported"):
            ask(endpoint, response_format={"type": "json_object"})


def test_every_content_fault_is_billed():
    found = {}
    for fault in CONTENT_FAULTS:
        with always(fault) as endpoint:
            found[fault] = ask(endpoint)
            assert endpoint.answers().total() == 1, fault
    texts = {fault: answer.choices[0].message.content for fault, answer in found.items()}
    good = texts["no-usage"]
    assert len(json.loads(good)["queries"]) == 3
    assert [f for f, answer in found.items() if answer.usage is None] == ["no-usage"]
    assert texts["length"] == texts["truncated"] == good[: len(good) // 2]
    finishes = {f: answer.choices[0].finish_reason for f, answer in found.items()}
    assert {f: end for f, end in finishes.items() if end != "stop"} == {
        **dict.fromkeys(("length", "think-cut", "draft-cut", "thought"), "length"),
        "filtered": "content_filter",
    }
    assert texts["refusal"] is None
    assert found["refusal"].choices[0].message.refusal
    assert texts["filtered"] is None
    assert json.loads(texts["schema"]) == {"wrong": 1}
    for fault in ("fences", "prose", "think", "draft"):
        assert good in texts[fault], fault
    assert texts["misplaced"] is texts["thought"] is None
    assert found["misplaced"].choices[0].message.reasoning_content == good
    assert all("sk-secret" in query for query in json.loads(texts["echo"])["queries"])
    assert "sk-secret" in found["echo-refusal"].choices[0].message.refusal
    for fault in ("invalid", "truncated", "fences", "prose", "think", "draft", "think-cut", "draft-cut"):
        with pytest.raises(ValueError):
            json.loads(texts[fault])
    wrong = json.loads(texts["wrong-language"])["queries"]
    assert len(wrong) == 3
    assert scripts("".join(wrong)) == {"LATIN"}
    assert scripts("".join(json.loads(good)["queries"])) == {"HANGUL"}


def test_faults_are_scripted_by_body_and_turn():
    seen = []

    def faults(body, nth):
        seen.append((body["messages"][0]["content"], nth))
        return "503-retry-after" if nth == 0 else None

    with Endpoint(faults=faults) as endpoint:
        begin = time.monotonic()
        assert ask(endpoint, "a", {"max_retries": 1}).choices
        assert 0.3 <= time.monotonic() - begin < 1
        with pytest.raises(openai.InternalServerError):
            ask(endpoint, "b")
    assert seen == [("a", 0), ("a", 1), ("b", 0)]


def test_a_fault_that_does_not_exist_is_no_answer():
    with pytest.raises(RuntimeError) as caught, always("429-dat") as endpoint, pytest.raises(openai.APIError):
        ask(endpoint)
    assert "'429-dat' is no fault" in str(caught.value.__cause__)


def test_only_the_right_key_is_let_in():
    with Endpoint(key="right") as endpoint:
        with pytest.raises(openai.AuthenticationError):
            ask(endpoint)
        assert ask(endpoint, settings={"api_key": "right"}).choices
        assert ask(endpoint, settings={"default_headers": {"api-key": "right"}}).choices
        assert [r.answered for r in endpoint.requests] == [False, True, True]


def test_requests_are_answered_at_the_same_time():
    async def many(endpoint):
        async with openai.AsyncOpenAI(base_url=endpoint.url, api_key="k") as connected:
            ask = connected.chat.completions.create
            await asyncio.gather(*(ask(model="m", messages=[{"role": "user", "content": f"{i}"}]) for i in range(8)))

    with Endpoint(latency=0.3) as endpoint:
        begin = time.monotonic()
        asyncio.run(many(endpoint))
        assert 0.3 <= time.monotonic() - begin < 2
        assert endpoint.most == 8
        assert set(endpoint.answers().values()) == {1}
        assert len(endpoint.answers()) == 8
        assert endpoint.stats() == {"requests": 8, "answered": 8, "most": 8}


def test_an_answer_to_a_client_that_has_gone_counts_for_nothing():
    with Endpoint(latency=0.3) as endpoint:
        with pytest.raises(openai.APITimeoutError):
            ask(endpoint, settings={"timeout": 0.1})
        time.sleep(0.4)
        assert [r.answered for r in endpoint.requests] == [False]


# ── Batches ───────────────────────────────────────────────────────────────────────────────────────────────────


def start(connected, prompts, **settings):
    """A batch of a request for each prompt; its custom_ids are the prompts."""
    rows = [{"custom_id": p, "method": "POST", "url": "/v1/chat/completions", "body": body(p)} for p in prompts]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = connected.files.create(file=("in.jsonl", content), purpose="batch")
    assert (file.bytes, file.filename) == (len(content), "in.jsonl")
    assert connected.files.retrieve(file.id) == file
    assert connected.files.content(file.id).content == content
    return connected.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **settings
    )


def body(prompt):
    return {"model": "m", "messages": [{"role": "user", "content": prompt}]}


def finished(connected, batch, polls=2):
    seen = [connected.batches.retrieve(batch.id) for _ in range(polls + 1)]
    assert [b.status for b in seen[:-1]] == ["in_progress"] * polls
    return seen[-1]


def rows(connected, name):
    return [json.loads(line) for line in connected.files.content(name).text.splitlines()] if name else []


def test_a_batch_with_errors():
    faults = {"p1": "500", "p2": "expired", "p3": "400", "p4": "refusal", "p5": "hang"}
    prompts = [f"p{i}" for i in range(20)]
    with Endpoint(faults=lambda body, nth: faults.get(body["messages"][0]["content"])) as endpoint:
        with client(endpoint) as connected:
            batch = start(connected, prompts, metadata={"run": "r"})
            assert (batch.status, batch.metadata) == ("validating", {"run": "r"})
            assert not endpoint.answers()
            batch = finished(connected, batch)
            good, bad = rows(connected, batch.output_file_id), rows(connected, batch.error_file_id)
            direct = ask(endpoint, "p7")
        assert endpoint.answers() == {canonical(body(p)): 2 if p == "p7" else 1 for p in prompts if p not in faults} | {
            canonical(body("p4")): 1
        }
        assert endpoint.batches[batch.id]["status"] == "completed"
    counts = batch.request_counts
    assert (batch.status, counts.total, counts.completed, counts.failed) == ("completed", 20, 16, 4)
    assert sorted(row["custom_id"] for row in good + bad) == sorted(prompts)
    order = [row["custom_id"] for row in good]
    assert order != [p for p in prompts if p in order]
    assert all(row["error"] is None and row["response"]["status_code"] == 200 for row in good)
    found = {row["custom_id"]: row["response"]["body"] for row in good}
    assert found["p7"] == direct.model_dump(exclude_unset=True)
    found = {row["custom_id"]: row for row in bad}
    assert {name: row["response"] and row["response"]["status_code"] for name, row in found.items()} == {
        "p1": 500,
        "p2": None,
        "p3": 400,
        "p5": 500,
    }
    assert found["p1"]["response"]["body"]["error"]["message"]
    assert found["p2"]["error"]["code"] == "batch_expired"


def test_the_ends_of_batches():
    with Endpoint(batch_end=["expired", "failed", "cancelled"], polls=1) as endpoint, client(endpoint) as connected:
        for end in ("expired", "failed", "cancelled", "completed"):
            batch = finished(connected, start(connected, [f"{end}{i}" for i in range(5)]), polls=1)
            good, bad = rows(connected, batch.output_file_id), rows(connected, batch.error_file_id)
            assert batch.status == end
            assert getattr(batch, f"{end}_at")
            assert len(good) == {"failed": 0, "completed": 5}.get(end, 2)
            assert len(bad) == {"failed": 0, "completed": 0}.get(end, 3)
            assert {row["error"]["code"] for row in bad} == ({f"batch_{end}"} if bad else set())
            assert bool(batch.errors) == (end == "failed")
        assert endpoint.answers().total() == 2 + 0 + 2 + 5


def test_a_batch_can_be_cancelled_once():
    with Endpoint() as endpoint, client(endpoint) as connected:
        batch = start(connected, ["a", "b"])
        assert connected.batches.cancel(batch.id).status == "cancelling"
        assert connected.batches.retrieve(batch.id).status == "cancelled"
        with pytest.raises(openai.ConflictError):
            connected.batches.cancel(batch.id)


def test_a_batch_that_repeats_a_custom_id_fails():
    with Endpoint(polls=0) as endpoint, client(endpoint) as connected:
        batch = connected.batches.retrieve(start(connected, ["a", "a"]).id)
    assert batch.status == "failed"
    assert [(error.code, error.line) for error in batch.errors.data] == [("duplicate_custom_id", 2)]


def test_batches_are_listed_newest_first_in_pages():
    with Endpoint() as endpoint, client(endpoint) as connected:
        made = [start(connected, ["a"]).id for _ in range(5)]
        page = connected.batches.list(limit=2)
        assert [b.id for b in page.data] == [made[4], made[3]]
        assert page.has_more
        assert [b.id for b in connected.batches.list(limit=2)] == made[::-1]
        last = connected.batches.list(limit=2, after=made[1])
        assert [b.id for b in last.data] == [made[0]]
        assert not last.has_more
        with pytest.raises(openai.NotFoundError):
            connected.batches.retrieve("batch_none")


def test_the_program():
    command = [sys.executable, "-m", "tests.fakes.endpoint", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as connected:
                connected.chat.completions.create(**body("a"))
            with urllib.request.urlopen(url.removesuffix("v1") + "stats") as answer:
                assert json.load(answer) == {"requests": 1, "answered": 1, "most": 1}
        finally:
            process.kill()
