"""usage: what is a count is read, and what is none costs nothing."""

import pytest

from stages.shared.endpoint.usage import counted, whole


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (10, 10),
        (0, 0),
        ("10", 10),
        (" 10 ", 10),
        (10.0, 10),
        ("1e1", 10),
        (1.5, None),
        (-1, None),
        (True, None),
        ("", None),
        ("ten", None),
        (None, None),
        ([10], None),
        ({"n": 10}, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**30, None),
        (10**400, None),
        ("1" * 5000, None),
    ],
)
def test_a_count(value, count):
    assert whole(value) == count


def test_usage_in_any_form():
    assert counted({"usage": {"prompt_tokens": "3"}}, "prompt_tokens") == 3
    for body in ({}, {"usage": None}, {"usage": 7}, {"usage": [3]}, {"usage": {}}, [], None):
        assert counted(body, "prompt_tokens") is None
