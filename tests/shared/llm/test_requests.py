"""request: the key changes with all that shapes a reply, and with nothing else."""

import pytest

from stages.shared.llm.converse import Form
from stages.shared.llm.request import Request
from stages.shared.llm.texts import Texts
from stages.synthesize.forms import Queries
from tests.shared.llm import asking

MESSAGES = ({"role": "user", "content": "Hello"},)
SHAPING = {
    "model": {"model": "another"},
    "parameters": {"parameters": {"temperature": 0.5}},
    "another parameter": {"parameters": {"temperature": 0.6}},
    "seed": {"seed": 1},
    "seed zero": {"seed": 0},
}
OTHER = {
    "mode": "batch",
    "base_url": "http://elsewhere/v1",
    "key_env": "ANOTHER",
    "key_header": "api-key",
    "query": {"api-version": "1"},
    "structured": "none",
    "cache": "elsewhere.sqlite",
    "concurrency": 1,
    "requests_per_minute": 5,
    "tokens_per_minute": 5,
    "timeout": 1.0,
    "retries": 0,
    "patience": 1.0,
    "reasks": 0,
    "max_failed": 1.0,
    "prices": {"input": 1.0, "output": 1.0},
    "batch_size": 1,
    "poll_seconds": 1.0,
}


class Other(Form):
    queries: list[int]


def request(messages=MESSAGES, form=Queries, stand_in="{}", **changes):
    return Request(asking.settings(**changes), messages, form, stand_in)


def test_a_key_changes_with_all_that_shapes_the_reply():
    keys = [request().key, request(form=Texts).key, request(form=Other).key]
    keys += [request(**changes).key for changes in SHAPING.values()]
    answered = (*MESSAGES, {"role": "assistant", "content": "Hi"})
    for messages in ([{"role": "system", "content": "Hello"}], MESSAGES * 2, answered):
        keys.append(request(messages).key)
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize("name", OTHER)
def test_a_key_does_not_change_with_how_a_reply_is_got(name):
    assert request(**{name: OTHER[name]}).key == request().key


def test_every_setting_is_known_to_shape_replies_or_not():
    # How much may be spent does not shape a reply, but needs prices and a parameter.
    shaping = {name for changes in SHAPING.values() for name in changes}
    assert shaping | set(OTHER) | {"provider", "recorded", "max_cost_usd"} == set(asking.settings().model_fields_set)


def test_a_key_stays_what_it_is():
    # Recorded replies are found by it.
    parameters = {"b": 1, "a": {"d": "ü", "c": 2}}
    turned = {"a": {"c": 2, "d": "ü"}, "b": 1}
    assert request(parameters=parameters).key == request(parameters=turned).key
    assert request(stand_in='{"queries": []}').key == request().key
    assert request(model="m").key == "83d7251dd7a9b96843a950d09ee2b88a9db85b672eb035da0f9bf1bf76911290"


@pytest.mark.parametrize(("structured", "kind"), [("schema", "json_schema"), ("json", "json_object"), ("none", None)])
def test_a_body_holds_what_is_set(structured, kind):
    body = request(seed=3, parameters={"temperature": 0.5}, model="m").body(structured)
    form = body.pop("response_format", {"type": None})
    assert body == {"model": "m", "messages": [*MESSAGES], "temperature": 0.5, "seed": 3}
    assert form["type"] == kind
    assert "seed" not in request().body(structured)


def test_a_schema_is_one_that_strict_endpoints_take():
    schema = request().body("schema")["response_format"]["json_schema"]
    assert schema == {
        "name": "queries",
        "strict": True,
        "schema": {
            "additionalProperties": False,
            "properties": {"queries": {"items": {"type": "string"}, "type": "array"}},
            "required": ["queries"],
            "type": "object",
        },
    }
