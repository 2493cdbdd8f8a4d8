"""faults: errors are found wherever they stand, and mean what they would mean elsewhere."""

import pytest

from stages.shared.endpoint.faults import fatal, message_of, stated, status_of, worded


@pytest.mark.parametrize(
    ("node", "error"),
    [
        ({"error": {"message": "no", "code": 401}}, {"message": "no", "code": 401}),
        ({"error": "no"}, "no"),
        ({"errors": [{"message": "no"}]}, {"message": "no"}),
        ({"type": "error", "error": {"type": "x"}}, {"type": "x"}),
        ({"object": "error", "message": "no", "code": 404}, {"object": "error", "message": "no", "code": 404}),
        ({"error": None, "choices": [1]}, None),
        ({"error": "", "errors": []}, None),
        ({"error": {"code": None, "message": ""}}, None),
        ({"message": {"content": "error"}}, None),
        ([], None),
        ("error", None),
    ],
)
def test_an_error_that_is_stated(node, error):
    assert stated(node) == error


def test_words_in_the_place_of_an_answer_are_an_error():
    assert worded({"detail": "Not authenticated"}) == {"detail": "Not authenticated"}
    assert worded({"choices": []}) is worded([1]) is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 401}, 401),
        ({"code": "429", "message": "no"}, 429),
        ({"code": 200, "message": "no"}, 500),
        ({"status": 503}, 503),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, 401),
        ({"code": None, "type": "AuthenticationError"}, 401),
        ({"status": "UNAUTHENTICATED"}, 401),
        ({"type": "insufficient_quota"}, 402),
        ({"type": "permission_denied"}, 403),
        ({"code": "model_not_found"}, 404),
        ({"type": "NotFoundError"}, 404),
        ({"code": "rate_limit_exceeded", "type": "requests"}, 429),
        ({"status": "RESOURCE_EXHAUSTED"}, 429),
        ({"type": "invalid_request_error"}, 400),
        ({"type": "server_error"}, 500),
        ({"message": "No auth credentials found"}, 401),
        ({"message": "Insufficient credits"}, 402),
        ({"message": "The model `m` does not exist."}, 404),
        ({"message": "The model is overloaded"}, 500),
        ("Incorrect API key provided", 401),
        ("busy", 500),
        (7, 500),
    ],
)
def test_an_error_has_the_status_it_would_be_sent_with(error, status):
    assert status_of(error) == status


def test_a_name_may_say_more_than_the_status():
    assert fatal({"code": "invalid_api_key"}) == 401
    assert fatal({"code": 400, "type": "invalid_request_error"}) is None


def test_the_words_of_who_is_behind_a_gateway_are_told():
    assert message_of({"message": "Provider returned error", "metadata": {"raw": "no power"}}) == (
        "Provider returned error: no power"
    )
    assert message_of({"msg": "no"}) == message_of("no") == "no"
    assert message_of({"code": 1}) == "{'code': 1}"
