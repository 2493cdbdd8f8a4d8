"""client: the key is masked however it is spelt, and in texts only where it can be no word."""

import json
import urllib.parse

import pytest

from stages.settings.references import EmbeddingEndpoint
from stages.shared.endpoint.client import Client
from stages.shared.endpoint.faults import Again, Forbidden, Refused, Stop, Unknown

KEY = 'sk-a/b+c"0123456789'


@pytest.fixture
def client(monkeypatch):
    def made(key=KEY):
        monkeypatch.setenv("ISOGLOSS_TEST_KEY", key)
        return Client(EmbeddingEndpoint(model="m", key_env="ISOGLOSS_TEST_KEY"), "group")

    return made


@pytest.mark.parametrize(
    "spelt",
    [
        KEY,
        json.dumps(KEY)[1:-1],
        json.dumps(json.dumps(KEY)[1:-1])[1:-1],
        KEY.replace("/", "\\/"),
        "".join(f"\\u{ord(c):04x}" for c in KEY),
        "".join(f"\\u{ord(c):04X}" for c in KEY),
        urllib.parse.quote(KEY, safe=""),
        urllib.parse.quote(KEY, safe="").lower(),
    ],
)
def test_a_key_is_masked_however_it_is_spelt(client, spelt):
    assert client().masked(f"one {spelt} two") == "one [masked key] two"
    assert client().redact(f"one\n{spelt} two") == "one [key] two"


def test_a_word_in_the_place_of_a_key_stays_in_texts(client):
    assert client("EMPTY").masked("EMPTY or full") == "EMPTY or full"
    assert client("EMPTY").redact("EMPTY or full") == "[key] or full"


@pytest.mark.parametrize(
    ("node", "kind", "words"),
    [
        ({"error": {"message": f"No auth for {KEY}", "code": 401}}, Stop, "(401: No auth for [key]): check the key"),
        ({"error": {"message": "flagged", "code": 403}}, Forbidden, "(403: flagged)"),
        ({"error": "Insufficient credits"}, Stop, "has no credit left (402: Insufficient credits)"),
        ({"error": {"message": "no m", "code": "model_not_found"}}, Unknown, "does not know the model 'm'"),
        ({"detail": "Not authenticated: unauthorized"}, Stop, "(401: Not authenticated: unauthorized)"),
        ({"error": {"message": "slow down", "code": "429"}}, Again, "429: slow down"),
        ({"error": {"message": "broken"}}, Again, "500: broken"),
        ({"error": {"message": "too long", "type": "invalid_request_error"}}, Refused, "refused by the endpoint (400"),
    ],
)
def test_an_error_within_an_answer_means_what_its_status_would(client, node, kind, words):
    error = client().error(node, holds="choices")
    assert type(error) is kind
    assert words in str(error)
    assert KEY not in str(error)


def test_an_answer_is_no_error(client):
    assert client().error({"choices": [{}], "message": "fine", "error": None}, holds="choices") is None
    assert client().error([], holds="choices") is None


def test_a_fatal_name_is_fatal_under_any_status(client):
    error = client().meaning(400, {"error": {"code": "invalid_api_key", "message": "no"}})
    assert type(error) is Stop
