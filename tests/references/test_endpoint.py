"""endpoint: embeddings are asked for once, within the budget, and what is wrong with them is one sentence."""

import sqlite3
import threading
from collections import Counter

import numpy as np
import pytest

from stages.references import endpoint as module
from stages.references.endpoint import AROUND, Embeddings
from stages.settings.references import EmbeddingEndpoint
from stages.shared.endpoint import sending
from stages.shared.errors import UserError
from tests.fakes import endpoint as fake
from tests.fakes.endpoint import Endpoint, embed, embeddings

KEY = "sk-canary-0123456789abcdef"
TEXTS = [f"text {i}" for i in range(10)]


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """No pauses that the endpoint does not ask for, and vectors kept in the test's own folder."""
    monkeypatch.setattr(sending, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(module, "STATE", tmp_path)


def asked(endpoint, **changes):
    settings = {"model": "m", "base_url": endpoint.url, "key_env": None, "batch_size": 4, "timeout": 5.0, "retries": 2}
    return Embeddings(EmbeddingEndpoint.model_validate(settings | {"patience": 2.0} | changes), "references.x.endpoint")


def inputs(endpoint):
    return Counter(text for request in endpoint.requests if request.answered for text in request.body["input"])


def stopped(embeddings, texts=TEXTS):
    with pytest.raises(UserError) as caught:
        embeddings.encode(texts, "query")
    said = str(caught.value)
    assert len(said.splitlines()) == 1 and said.startswith("references.x.endpoint: ")
    return said.removeprefix("references.x.endpoint: ")


def unit(texts, **body):
    vectors = np.array(embed({"input": texts, **body}), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_vectors_are_those_of_the_texts_whatever_their_order():
    with Endpoint() as endpoint:
        found = asked(endpoint).encode([*TEXTS, TEXTS[0]], "query")
    np.testing.assert_allclose(found, unit([*TEXTS, TEXTS[0]]), atol=1e-6)
    assert found.dtype == np.float32
    assert set(inputs(endpoint).values()) == {1}
    assert all(request.body.keys() == {"model", "input"} for request in endpoint.requests)


def test_what_came_once_is_never_asked_for_again_and_takes_no_key(monkeypatch):
    with Endpoint() as endpoint:
        first = asked(endpoint).encode(TEXTS, "query")
        again = asked(endpoint, batch_size=3)
        more = again.encode([*TEXTS, "new"], "query")
        assert inputs(endpoint) == Counter([*TEXTS, "new"])
    monkeypatch.delenv("ISOGLOSS_TEST_KEY", raising=False)
    kept = asked(endpoint, key_env="ISOGLOSS_TEST_KEY", base_url="http://localhost:1/v1")
    assert kept.encode(TEXTS, "query").tobytes() == first.tobytes() == more[:-1].tobytes()
    assert kept.record() == {"name": "m", "prompts": {"query": "", "passage": ""}, "dimension": 8}


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "other"},
        {"dimensions": 8},
        {"prompts": {"query": "q: ", "passage": ""}},
        {"parameters": {"query": {"input_type": "query"}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_shapes_a_vector_is_a_part_of_its_key(changes):
    with Endpoint() as endpoint:
        asked(endpoint).encode(TEXTS[:2], "query")
        asked(endpoint, **changes).encode(TEXTS[:2], "query")
        asked(endpoint).encode(TEXTS[:2], "passage")
        assert len(endpoint.requests) == 3
        asked(endpoint, **changes).encode(TEXTS[:2], "query")
        assert len(endpoint.requests) == 3


def test_roles_have_their_prompts_and_parameters():
    settings = {
        "prompts": {"query": "query: ", "passage": "passage: "},
        "parameters": {"query": {"input_type": "query"}, "passage": {"input_type": "document"}},
        "dimensions": 4,
    }
    with Endpoint() as endpoint:
        embeddings = asked(endpoint, **settings)
        assert embeddings.encode(["a"], "query").shape == (1, 4)
        embeddings.encode(["a"], "passage")
    assert [request.body for request in endpoint.requests] == [
        {"model": "m", "input": ["query: a"], "input_type": "query", "dimensions": 4},
        {"model": "m", "input": ["passage: a"], "input_type": "document", "dimensions": 4},
    ]


def test_long_texts_are_cut_if_it_is_said_and_counted(caplog):
    with Endpoint() as endpoint:
        found = asked(endpoint, max_chars=6).encode(["text 1", "text 12", "text 13"], "passage")
    assert "2 of 3 texts (passage) are cut at references.x.endpoint.max_chars, 6" in caplog.text
    assert inputs(endpoint) == {"text 1": 1} and (found[0] == found[1]).all()


@pytest.mark.parametrize("fault", ["500", "503-retry-after", "not-json", "cut", "200-500", "endless"])
def test_faults_that_pass_are_waited_for(fault):
    with Endpoint(faults=lambda body, nth: fault if nth == 0 else None) as endpoint:
        found = asked(endpoint).encode(TEXTS, "query")
    np.testing.assert_allclose(found, unit(TEXTS), atol=1e-6)
    assert len(endpoint.requests) == 6


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", "refuses the key in ISOGLOSS_TEST_KEY (401: Incorrect API key provided: [key].)"),
        ("404", "does not know the model 'm' or the path (404"),
        ("429-quota", "says that the account has no credit left"),
        ("400", "4 texts of which the first begins 'text 0': refused by the endpoint (400: Invalid value"),
        ("500", ": no reply in 3 attempts, the last: 500: The server had an error while"),
        ("200-401", "refuses the key in ISOGLOSS_TEST_KEY (401: Incorrect API key provided: [key].)"),
        ("200-404", "does not know the model 'm' or the path (404"),
        ("200-429-quota", "says that the account has no credit left"),
        ("200-400", "4 texts of which the first begins 'text 0': refused by the endpoint (400: Invalid value"),
        ("200-500", ": no reply in 3 attempts, the last: 500: The server had an error while"),
        ("bomb", ": no reply in 3 attempts, the last: the endpoint's answer is longer than 18 MiB"),
        ("deep", ": no reply in 3 attempts, the last: the endpoint's answer is nested too deeply"),
    ],
)
def test_what_asking_again_cannot_mend_is_one_sentence(monkeypatch, fault, words):
    monkeypatch.setenv("ISOGLOSS_TEST_KEY", KEY)
    with Endpoint(faults=lambda body, nth: fault) as endpoint:
        said = stopped(asked(endpoint, key_env="ISOGLOSS_TEST_KEY", concurrency=1))
    assert said.startswith(endpoint.url) and words in said and KEY not in said


def test_what_never_ends_has_an_end():
    with Endpoint(faults=lambda body, nth: "trickle") as endpoint:
        said = stopped(asked(endpoint, timeout=0.2, retries=0, concurrency=1))
    assert said.startswith(f"{endpoint.url}: no reply in 1 attempts, the last: no reply within 0.2 s; vectors so far ")


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"prompt_tokens": "8", "total_tokens": "8"}, 0.08),
        ({"prompt_tokens": [8]}, 0.88),
        ({"prompt_tokens": -8}, 0.88),
        ("free", 0.88),
        (None, 0.88),
    ],
    ids=str,
)
def test_vectors_are_kept_whatever_is_said_of_their_tokens(monkeypatch, usage, dollars):
    """A text of 6 bytes has at most 22 tokens."""
    monkeypatch.setattr(fake, "embeddings", lambda body, vectors: embeddings(body, vectors) | {"usage": usage})
    with Endpoint() as endpoint:
        first = asked(endpoint, price=1e4)
        np.testing.assert_allclose(first.encode(TEXTS[:4], "query"), unit(TEXTS[:4]), atol=1e-6)
        assert first.budget.cost == pytest.approx(dollars)
        again = asked(endpoint, price=1e4)
        again.encode(TEXTS[:4], "query")
        assert again.budget.cost == pytest.approx(dollars)
        assert len(endpoint.requests) == 1


def test_an_error_in_the_place_of_a_vector_is_one(monkeypatch):
    def failing(body, vectors):
        answer = embeddings(body, vectors)
        answer["data"][0] = {"index": 3, "error": {"message": "no room", "code": 503}}
        return answer

    monkeypatch.setattr(fake, "embeddings", failing)
    with Endpoint() as endpoint:
        assert "the last: 503: no room" in stopped(asked(endpoint, concurrency=1))


def test_a_key_that_the_environment_lacks_is_named(monkeypatch):
    monkeypatch.delenv("ISOGLOSS_TEST_KEY", raising=False)
    with Endpoint() as endpoint, pytest.raises(UserError) as caught:
        asked(endpoint, key_env="ISOGLOSS_TEST_KEY").encode(TEXTS, "query")
    assert str(caught.value).startswith(
        "the environment has no ISOGLOSS_TEST_KEY, which references.x.endpoint.key_env names: export it, or set "
        "references.x.endpoint.key_env to null"
    )
    assert endpoint.requests == []


def test_no_endpoint_at_the_url_is_told_soon():
    with Endpoint() as endpoint:
        pass
    said = stopped(asked(endpoint, patience=0.1, retries=50))
    assert f"{endpoint.url} has not answered for " in said and "check references.x.endpoint.base_url" in said


def test_another_dimension_than_before_or_than_stated():
    with Endpoint() as endpoint:
        asked(endpoint).encode(TEXTS[:3], "query")
    with Endpoint(embedder=lambda body: embed(body | {"dimensions": 5})) as endpoint:
        said = stopped(asked(endpoint))
        assert said == (
            f"{endpoint.url} gives vectors of 5 dimensions, but those that came before from the model 'm' have 8: give "
            "another model another name"
        )
        said = stopped(asked(endpoint, dimensions=6))
        assert said == f"{endpoint.url} gives vectors of 5 dimensions, but dimensions is 6: write 5, or null"


@pytest.mark.parametrize(
    ("embedder", "words"),
    [
        (lambda body: embed(body)[:-1], "the last: the endpoint's answer holds 3 vectors for 4 texts"),
        (lambda body: ["AAAA" for _ in body["input"]], "the last: the endpoint's answer holds no vectors"),
        (lambda body: [[float("nan")] * 3 for _ in body["input"]], "gives vectors that are no numbers"),
        (lambda body: [[] for _ in body["input"]], "gives vectors that are no numbers"),
    ],
    ids=["few", "no list", "nan", "empty"],
)
def test_answers_that_hold_no_such_vectors(embedder, words):
    with Endpoint(embedder=embedder) as endpoint:
        assert words in stopped(asked(endpoint, concurrency=1))


def test_the_budget_holds_over_several_runs():
    price = 1e6 / 100  # a hundredth of a dollar a token
    with Endpoint() as endpoint:
        # A text of 6 bytes: 2 tokens as the endpoint counts, at most 22.
        limit = 4 * (6 + AROUND) / 100 + 0.04
        first = asked(endpoint, price=price, max_cost_usd=limit, concurrency=1)
        said = stopped(first)
        assert said.startswith("stopped at $0.08") and "beyond references.x.endpoint.max_cost_usd" in said
        assert inputs(endpoint).total() == 4
        second = asked(endpoint, price=price, max_cost_usd=limit, concurrency=1)
        stopped(second)
        assert second.budget.cost == pytest.approx(0.08) and inputs(endpoint).total() == 4
        third = asked(endpoint, price=price, max_cost_usd=limit + 1)
        third.encode(TEXTS, "query")
        assert third.budget.cost == pytest.approx(0.2) and set(inputs(endpoint).values()) == {1}


def test_attempts_whose_answers_were_lost_are_counted():
    price = 1e6 / 100
    with Endpoint(faults=lambda body, nth: "cut" if nth == 0 else None) as endpoint:
        first = asked(endpoint, price=price)
        first.encode(TEXTS[:4], "query")
        wanted = (4 * (6 + AROUND) + 4 * 2) / 100
        assert first.budget.cost == pytest.approx(wanted)
        again = asked(endpoint, price=price)
        again.encode(TEXTS[:4], "query")
        assert again.budget.cost == pytest.approx(wanted)


def test_a_kept_vector_that_is_damaged_is_asked_for_again(tmp_path, caplog):
    with Endpoint() as endpoint:
        first = asked(endpoint).encode(TEXTS, "query")
        with sqlite3.connect(tmp_path / "paid-vectors.sqlite") as db:
            db.execute(
                "UPDATE vectors SET vector = zeroblob(length(vector)) WHERE key = (SELECT min(key) FROM vectors)"
            )
        assert asked(endpoint).encode(TEXTS, "query").tobytes() == first.tobytes()
        assert "is damaged" in caplog.text
        assert sorted(inputs(endpoint).values()) == [1] * 9 + [2]


def test_two_that_ask_at_once_pay_once():
    with Endpoint(latency=0.1) as endpoint:
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(asked(endpoint).encode(TEXTS, "query"))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0].tobytes() == found[1].tobytes()
        assert set(inputs(endpoint).values()) == {1}


def test_an_empty_file_is_no_new_one(tmp_path):
    with Endpoint() as endpoint:
        asked(endpoint).encode(TEXTS, "query")
        (tmp_path / "paid-vectors.sqlite").write_bytes(b"")
        with pytest.raises(UserError, match=r"paid-vectors\.sqlite cannot be used \(it is empty, and was not"):
            asked(endpoint).encode(TEXTS, "query")
        assert len(endpoint.requests) == 3


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "paid-vectors.sqlite").write_text("no database " * 100)
    with Endpoint() as endpoint, pytest.raises(UserError, match=r"paid-vectors\.sqlite cannot be used"):
        asked(endpoint).encode(TEXTS, "query")
