"""converse: replies are read whatever stands around them, and asked for again with the reason."""

import json
import random
import string
import time

import pytest

from stages.shared.llm.converse import LONGEST_REPLY, Filled, Form, Text, ask, read
from stages.shared.llm.request import STAND_IN, Failed, Reply
from stages.synthesize.forms import Queries, Triple
from tests.shared.llm import asking

GOOD = '{"queries": ["a", "b"]}'
DRAFT = '{"queries": ["draft"]}'


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"\n  {GOOD}\t",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}```",
        f"Here are {{the}} two: {GOOD} and }} that {{is}} it.",
        f'{{"queries": {GOOD}',
        f'{{"note": "not this"}} {GOOD}',
        f'{{"queries": [1, 2]}} {GOOD}',
        f'<think>Perhaps {{"queries": ["c", "d"]}}?</think>{GOOD}',
        f"<think>One.</think> <think>Two.</think> {GOOD} ",
        f"[{GOOD}]",
        f'[{GOOD}, {{"queries": ["c"]}}]',
        f'{{"reply": {GOOD}}}',
        f"Draft: {DRAFT} Final answer: {GOOD}",
        f'{{"reply": {DRAFT}}} {{"reply": {GOOD}}}',
        f'{{"n": {"9" * 5000}}} {GOOD}',
        f"{{'queries': ['c']}} {GOOD}",
        f"\ufeff{GOOD}",
        '{"queries": [" a ", "b\\n"]}',
        '{"queries": ["\\u0061", "b"]}',
    ],
)
def test_a_reply_is_found_in_what_stands_around_it(reply):
    assert read(reply, Queries).queries == ["a", "b"]


# Beginnings and ends of reasoning.
REASONING = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<THOUGHT>", "</THOUGHT>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("analysisWe need two. ", "assistantfinal"),
    ("Here is my thought process: ", "Here is my response: "),
]


@pytest.mark.parametrize(("begin", "end"), REASONING, ids=str)
def test_no_draft_within_reasoning_is_the_answer(begin, end):
    for reply in (
        f"{begin}Maybe {DRAFT}?{end}\n{GOOD}",
        f"{begin}Maybe {DRAFT}?{end}{GOOD}<|end|>",
        f"{begin}One: {DRAFT}{end}{begin}Two: {DRAFT}{end}{GOOD}",
    ):
        assert read(reply, Queries).queries == ["a", "b"]
    for cut_off in (True, False):
        for reply in (f"{begin}Maybe {DRAFT} but these are bad", f"{begin}Maybe {DRAFT}"):
            with pytest.raises(ValueError, match="which ends within its reasoning"):
                read(reply, Queries, cut_off)


@pytest.mark.parametrize(
    "end", ["</think>", "</seed:think>", "[/THINK]", "assistantfinal", "<|channel|>final<|message|>"]
)
def test_what_comes_before_an_end_of_reasoning_is_reasoning(end):
    """Where the prompt has begun it."""
    assert read(f"Maybe {DRAFT}?{end}{GOOD}", Queries).queries == ["a", "b"]
    with pytest.raises(ValueError, match=r"^no JSON object in the reply$"):
        read(f"Maybe {DRAFT}?{end}", Queries)


@pytest.mark.parametrize(
    "text", ["what <think> does", "</think>", "[THINK]", "<|channel|>final", "Here is my response:"]
)
def test_marks_within_an_answer_are_its_text(text):
    for reply in ({"queries": [text]}, {"reply": {"queries": [text]}}):
        assert read(f"Here: {json.dumps(reply)} Done.", Queries).queries == [text]


@pytest.mark.parametrize("reply", [f"Draft: {DRAFT} Final answer: {GOOD[:-4]}", f"Draft: {DRAFT} Final answer: {{"])
def test_a_draft_is_no_answer_where_the_answer_is_not_whole(reply):
    with pytest.raises(ValueError, match=r"no JSON object in the reply|the reply goes on after the JSON object"):
        read(reply, Queries, cut_off=True)
    if reply.endswith("{"):
        return
    with pytest.raises(ValueError, match="no JSON object in the reply"):
        read(reply, Queries)


def test_reasoning_after_an_answer_is_none():
    assert read(f"Draft: {DRAFT}\n{GOOD} <think>Is {DRAFT} better?</think>", Queries).queries == ["a", "b"]


def test_a_reply_that_was_cut_off_has_its_answer_at_its_end():
    for reply in (GOOD, f"{GOOD}\n```\n", f'{{"reply": {GOOD}}}', f"[{GOOD}, {DRAFT}]", f"{GOOD}{' ' * 50}"):
        assert read(reply, Queries, cut_off=True).queries == ["a", "b"]
    with pytest.raises(ValueError, match="the reply goes on after the JSON object"):
        read(f"Draft: {DRAFT} These are bad, since", Queries, cut_off=True)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no JSON object in the reply"),
        ("Sure! Here you are.", "no JSON object in the reply"),
        ('["a", "b"]', "no JSON object in the reply"),
        ("null", "no JSON object in the reply"),
        (GOOD[:-4], "no JSON object in the reply (Unterminated string starting at at character 18)"),
        ("{}", "not the form asked for (queries: Field required)"),
        ('{"wrong": 1}', "not the form asked for (queries: Field required)"),
        ('{"queries": "a"}', "not the form asked for (queries: Input should be a valid list)"),
        ('{"queries": null}', "not the form asked for (queries: Input should be a valid list)"),
        ('{"queries": ["a", 1]}', "not the form asked for (queries.1: Input should be a valid string)"),
        ('{"queries": ["a", " "]}', "not the form asked for (queries.1: an empty text)"),
        ('{"queries": ["a"], "note": ""}', "not the form asked for (note: Extra inputs are not permitted)"),
        ('{"queries": [{"text": "a"}]}', "not the form asked for (queries.0: Input should be a valid string)"),
        ('{"queries": {"queries": 1}}', "not the form asked for (queries: Input should be a valid list)"),
    ],
)
def test_a_reply_without_the_form_is_refused_with_the_reason(reply, reason):
    with pytest.raises(ValueError) as caught:
        read(reply, Queries)
    assert str(caught.value) == reason


def test_texts_are_told_from_lists():
    with pytest.raises(ValueError, match="positive: Field required"):
        read('{"query": "a"}', Triple)
    made = read('{"query": "a", "positive": "b  c", "hard_negative": "d"}', Triple)
    assert (made.query, made.positive, made.hard_negative) == ("a", "b c", "d")


class Mixed(Form):
    text: Text
    filled: Filled
    count: int
    sure: bool


@pytest.mark.parametrize(
    "change",
    [{"text": 1}, {"filled": ""}, {"filled": None}, {"count": "1"}, {"count": 1.5}, {"count": True}, {"sure": 1}],
)
def test_types_are_taken_strictly(change):
    good = {"text": "", "filled": "a", "count": 1, "sure": True}
    assert read(json.dumps(good), Mixed).count == 1
    with pytest.raises(ValueError, match=next(iter(change))):
        read(json.dumps(good | change), Mixed)


PIECES = [
    *'{}[]":,\\',
    "{" * 9,
    '{"',
    '"queries"',
    '{"queries": ["a"',
    *"ab 1\n\0é한\u2028\ud800",
    "\\ud800",
    "</think>",
]
PIECES += ["null", "NaN", "-", "1e999", "```", GOOD[:-1], "\\u", "1" * 20]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_comes_is_read_or_refused(seed):
    rng = random.Random(seed)
    outcomes = set()
    for _ in range(100):
        pieces = PIECES if seed % 2 else [*string.printable, *PIECES]
        text = "".join(rng.choices(pieces, k=rng.randint(1, 60)))
        for reply in (text, json.dumps({"queries": [text]}), json.dumps({text: text}, ensure_ascii=False)):
            try:
                outcomes.add(type(read(reply, Queries)))
            except ValueError as error:
                outcomes.add(ValueError)
                str(error).encode()
    assert outcomes == {Queries, ValueError}


@pytest.mark.parametrize(
    "piece",
    ["{", '{"', '{"a":', '{"a":[', "[", '{"a":1} ', '{"a":{"b":1},', '{"a":"', "{ ", "{\n", '{"queries":[{"a":1},'],
)
def test_a_long_reply_of_no_use_is_refused_quickly(piece):
    begin = time.monotonic()
    with pytest.raises(ValueError):
        read(piece * (100_000 // len(piece)), Queries)
    assert time.monotonic() - begin < 1


def test_a_form_cannot_hold_what_no_file_can():
    with pytest.raises(ValueError, match=r"queries\.0: a text with half a character"):
        read('{"queries": ["a\\ud800"]}', Queries)
    with pytest.raises(ValueError, match="not the form asked for"):
        read('{"queries": ["a"], "\\ud800": 1}', Queries)


# ── Asking ──


def dialogue(replies, check=lambda reply: None, **changes):
    """The requests of `ask` for these replies, and what it makes of them."""
    asked = ask(asking.settings(**changes), "Two, please.", Queries, {"queries": ["x"]}, check)
    requests = [next(asked)]
    for reply in replies:
        try:
            requests.append(asked.send(reply if isinstance(reply, Reply) else Reply(reply)))
        except StopIteration as end:
            return requests, end.value.queries
        except Failed as error:
            return requests, str(error)
    raise AssertionError("it asks on")


def test_a_second_asking_carries_the_reply_and_what_is_wrong_with_it():
    (first, second), made = dialogue(["Sure!", GOOD])
    assert made == ["a", "b"]
    assert first.messages == ({"role": "user", "content": "Two, please."},)
    assert second.messages[:2] == (*first.messages, {"role": "assistant", "content": "Sure!"})
    assert second.messages[2]["role"] == "user"
    assert "This cannot be used: no JSON object in the reply." in second.messages[2]["content"]
    assert len(second.messages) == 3
    assert first.stand_in == second.stand_in == '{"queries": ["x"]}'


def test_asking_again_goes_on_as_long_as_it_is_allowed_to():
    requests, made = dialogue(["1", "2", "3", "4"], reasks=3)
    assert made == "no usable reply in 4 tries: no JSON object in the reply"
    assert [m["content"] for m in requests[3].messages if m["role"] == "assistant"] == ["1", "2", "3"]
    assert dialogue(["1"], reasks=0)[1] == "no usable reply in 1 tries: no JSON object in the reply"


def test_a_reply_that_fails_the_check_is_asked_for_again_and_taken_after_the_last_try():
    def check(reply):
        return None if reply.queries == ["a", "b"] else f"{reply.queries} will not do"

    other = '{"queries": ["c"]}'
    requests, made = dialogue([other, GOOD], check)
    assert made == ["a", "b"]
    assert "This cannot be used: ['c'] will not do." in requests[1].messages[-1]["content"]
    assert dialogue([other, '{"queries": ["d"]}', "no"], check)[1] == ["d"]
    assert dialogue([other], check, reasks=0)[1] == ["c"]


def test_a_refusal_and_a_filtered_reply_are_not_asked_for_again():
    requests, made = dialogue([Reply(None, refusal="I can't\nhelp " + "x" * 300)])
    assert made == "refused: I can't help " + "x" * 186 + "…"
    assert len(requests) == 1
    assert dialogue([Reply("", "content_filter")])[1] == "withheld by the endpoint's content filter"


def test_a_reply_that_was_cut_off_says_so():
    requests, made = dialogue([Reply(GOOD[:-3], "length"), GOOD])
    assert made == ["a", "b"]
    assert "the reply was cut off at its greatest length, so write less; no JSON" in requests[1].messages[-1]["content"]
    assert dialogue([Reply(GOOD, "length")])[1] == ["a", "b"]


def test_a_reply_beyond_measure_is_not_read():
    _, made = dialogue(["x" * (LONGEST_REPLY + 1)])
    assert made == "a reply of 1,000,001 characters, where 1,000,000 are read at most"


def test_a_stand_in_is_not_checked():
    assert dialogue([Reply(GOOD, STAND_IN)], lambda reply: "never right")[1] == ["a", "b"]
