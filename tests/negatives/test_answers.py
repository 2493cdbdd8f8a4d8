"""What answers a query: against a slow computation, query by query."""

import random

import numpy as np
import polars as pl
import pytest

from stages.negatives.answers import Answers
from stages.schemas.collected import COLLECTED_PASSAGES, COLLECTED_QRELS, COLLECTED_QUERIES, GROUP_LABELS
from stages.shared.collection import Collection

POOL = [f"p{i:02}" for i in range(24)]
# Three labels of several passages, one of a single passage; the others are their own groups, before and after them.
GROUP = {name: name for name in POOL} | dict(zip(POOL[:12], "pabcabcabcab", strict=True))
LABELS = ["a", "b", "c", "p"]
ASKED = [f"q{i:02}" for i in range(40)]


def made(seed):
    """Answers, and the groups of each query: up to three that answer it, or none."""
    rng = random.Random(seed)
    groups = sorted({*GROUP.values()})
    own = {query: sorted(rng.sample(groups, rng.randint(0, 3))) for query in ASKED}
    pairs = [(query, group, 1) for query, found in own.items() for group in found]
    passages = [(name, lang, group, "", name, "train") for name, group in GROUP.items() for lang in ("en", "ko")]
    stored = Collection(
        pl.DataFrame(passages, COLLECTED_PASSAGES, orient="row"),
        pl.DataFrame(schema=COLLECTED_QUERIES),
        pl.DataFrame(rng.sample(pairs, len(pairs)), COLLECTED_QRELS, orient="row"),
        pl.DataFrame(schema=COLLECTED_QRELS),
        pl.DataFrame([(name, "") for name in LABELS], GROUP_LABELS, orient="row"),
    )
    pool = rng.sample(POOL, len(POOL))
    return Answers(stored, pl.Series("passage", pool)), pool, own


def test_what_is_drawn_at_random_is_not_the_query_itself():
    passages = [(name, "en", name, "", text, "train") for name, text in (("a", "one"), ("b", "Two"), ("c", "three"))]
    asked = [
        ("a", "en", "x", "train", "given"),
        ("q", "ko", "two.", "train", "given"),
        ("d", "en", "One", "dev", "given"),
    ]
    stored = Collection(
        pl.DataFrame(passages, COLLECTED_PASSAGES, orient="row"),
        pl.DataFrame(asked, COLLECTED_QUERIES, orient="row"),
        pl.DataFrame([("q", "c", 1)], COLLECTED_QRELS, orient="row"),
        pl.DataFrame(schema=COLLECTED_QRELS),
        pl.DataFrame(schema=GROUP_LABELS),
    )
    answers = Answers(stored, pl.Series("passage", ["c", "b", "a"]))
    assert answers.itself.rows() == [("a", "a"), ("q", "b")]
    whole, (rows, numbers) = answers.excluded(
        pl.Series(["q", "a"]), pl.DataFrame(schema={"query": pl.String, "passage": pl.String})
    )
    assert whole.tolist() == [-1, -1]
    assert sorted(zip(rows.tolist(), numbers.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 2)]


def test_labels_are_numbered_before_other_groups():
    answers, pool, _ = made(1)
    assert answers.labels == answers.names[:4] == LABELS
    assert answers.names[4:] == POOL[12:]
    assert [answers.names[n] for n in answers.groups] == [GROUP[name] for name in pool]
    assert answers.sizes.tolist() == [4, 4, 3, 1] + [1] * 12
    assert answers.labels_among(np.array([3, 4, -1, 0])).tolist() == [3, -1, -1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_the_first_group_is_that_of_the_first_name(seed):
    answers, _, own = made(seed)
    found = answers.group_of(pl.Series([*ASKED, "unknown"]))
    assert [answers.names[n] if n >= 0 else None for n in found] == [
        *(min(own[query], default=None) for query in ASKED),
        None,
    ]


@pytest.mark.parametrize("seed", range(5))
def test_candidates_of_any_of_its_groups_answer_a_query(seed):
    answers, pool, own = made(seed)
    candidates = np.random.default_rng(seed).integers(0, len(pool), (len(ASKED), 9)).astype(np.uint32)
    hit = answers.among(pl.Series(ASKED), candidates)
    assert hit.tolist() == [
        [GROUP[pool[n]] in own[query] for n in row] for query, row in zip(ASKED, candidates.tolist(), strict=True)
    ]
    # Of other relations, which may name groups that are not there.
    other = pl.DataFrame([("q03", "b"), ("q03", "nowhere"), ("unknown", "a")], ["query", "group"], orient="row")
    hit = answers.among(pl.Series(ASKED), candidates, other)
    assert hit[3].tolist() == [GROUP[pool[n]] == "b" for n in candidates[3]]
    assert hit.sum() == hit[3].sum()


def test_the_passages_of_groups_are_spelled_out():
    answers, _, _ = made(1)
    table = pl.DataFrame([("q1", "c"), ("q2", "p23"), ("q3", "nowhere")], ["query", "group"], orient="row")
    found = answers.passages(table).sort("query", "passage").rows()
    assert found == [*(("q1", name) for name in POOL if GROUP[name] == "c"), ("q2", "p23")]


@pytest.mark.parametrize("seed", range(10))
def test_what_answers_and_what_is_taken_is_excluded_and_nothing_else(seed):
    answers, pool, own = made(seed)
    rng = random.Random(seed)
    queries = rng.sample(ASKED, 25)
    taken = {query: rng.sample(POOL, rng.randint(0, 3)) for query in queries}
    rows = [(query, name) for query, names in taken.items() for name in names]
    groups, pairs = answers.excluded(pl.Series(queries), pl.DataFrame(rows, ["query", "passage"], orient="row"))
    for at, query in enumerate(queries):
        spelled = {pool[n] for n in pairs[1][pairs[0] == at]}
        whole = {name for name in POOL if groups[at] >= 0 and GROUP[name] == answers.names[groups[at]]}
        assert spelled | whole == {*taken[query], *(name for name in POOL if GROUP[name] in own[query])}
        # The first group is never spelled out if it has several passages.
        assert spelled & whole <= {*taken[query]}
        assert bool(whole) == (own[query][:1] in (["a"], ["b"], ["c"]))
