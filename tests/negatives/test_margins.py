"""Margins against the triple's own positive: against a slow computation, composition by composition."""

import json
import random
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES
from stages.schemas.negatives import NEGATIVES
from stages.settings.negatives import Negatives
from stages.shared import tables
from stages.shared.compositions import compositions

POOL = [f"p{i:02}" for i in range(40)]
QUERIES = [f"q{i:02}" for i in range(25)]
WAYS = [(q, c) for q in ("en", "ko") for c in ("en", "ko")]
WINDOW = {"k": 3, "rank_min": 2, "rank_max": 20, "pick": "top", "relative_margin": 0.25}


def ranked(seed, depth=25):
    """What the teacher scores every passage, {(query, its language, searched language): scores}, and the first `depth`
    of them as it ranks them. A query `qNN` is answered by `pNN`; scores are few, so that margins are hit exactly."""
    rng = random.Random(seed)
    scores = {(q, *way): [rng.randint(-8, 8) / 8 for _ in POOL] for q in QUERIES for way in WAYS}
    for (query, *_), row in scores.items():
        row[int(query[1:])] = rng.randint(2, 8) / 8
    rows = []
    for (query, *way), row in scores.items():
        order = sorted(range(len(POOL)), key=lambda n: -row[n])[:depth]
        rows.append((query, *way, row[int(query[1:])], order, [row[n] for n in order]))
    return scores, pl.DataFrame(rows, CANDIDATES, orient="row")


def mined(workspace, seed, strategy, depth=25):
    """The scores, what the stage keeps, {(query, its language, searched language): negatives}, and its report."""
    scores, table = ranked(seed, depth)
    workspace.corpus([(name, "train") for name in POOL], [(q, q.replace("q", "p")) for q in QUERIES])
    tables.write(pl.DataFrame({"passage": POOL}), "data/candidates/pool.parquet", CANDIDATE_POOL)
    tables.write(table, "data/candidates/ranked.parquet", CANDIDATES)
    recipes = {"only": {"compositions": ["enenen"], "negatives": "window"}}
    workspace.edit(negatives={"window": strategy}, recipes=recipes, merges={}).run("negatives")
    kept = tables.read("data/negatives/window.parquet", NEGATIVES)
    report = json.loads(Path("metrics/negatives.json").read_text())["window"]
    return scores, {(q, *way): passages for q, *way, passages in kept.iter_rows()}, report


def below(score, positive, strategy):
    absolute, relative = strategy.get("absolute_margin"), strategy.get("relative_margin")
    return (absolute is None or score <= positive - absolute) and (
        relative is None or score <= positive - relative * abs(positive)
    )


def exceeding(scores, kept, strategy):
    """Of each composition, the share of the negatives that are not below the margin of the triple's own positive."""
    found = {}
    for q, p, n in compositions(["en", "ko"]):
        own = [
            below(scores[query, q, n][POOL.index(name)], scores[query, q, p][int(query[1:])], strategy)
            for (query, *way), passages in kept.items()
            if way == [q, n]
            for name in passages
        ]
        found[q + p + n] = own.count(False) / len(own)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("direction", ["each", "en-en", "ko-en"])
@pytest.mark.parametrize("margin", [{"relative_margin": 0.25}, {"relative_margin": None, "absolute_margin": 0.125}])
def test_no_composition_has_a_negative_beyond_the_margin_of_its_positive(workspace, seed, direction, margin):
    strategy = WINDOW | margin | {"direction": direction}
    scores, kept, report = mined(workspace, seed, strategy | {"margin_against": "positive"})
    assert max(exceeding(scores, kept, strategy).values()) > 0
    before = set(kept)
    scores, kept, report = mined(workspace, seed, strategy | {"margin_against": "both"})
    assert set(exceeding(scores, kept, strategy).values()) == {0}
    assert set(kept) < before
    assert set(report["above_positive"].values()) == {0}


@pytest.mark.parametrize("direction", ["each", "en-en"])
def test_every_candidate_that_is_surely_below_stays(workspace, direction):
    strategy = WINDOW | {"direction": direction, "margin_against": "both", "k": 2, "rank_min": 1}
    dropped = {"own_positive": 0, "unlisted": 0}
    scores, kept, report = mined(workspace, 3, strategy, depth=20)
    _, table = ranked(3, 20)
    lists = {(q, *way): candidates for q, *way, _, candidates, _ in table.iter_rows()}
    for query in QUERIES:
        for q, n in WAYS if direction == "each" else [("en", "en")]:
            left = []
            served = [(q, n)] if direction == "each" else WAYS
            for number in lists[query, q, n]:
                own = int(query[1:])
                if number == own or not below(scores[query, q, n][number], scores[query, q, n][own], strategy):
                    continue
                verdicts = set()
                for asked, searched in served:
                    row, listed = scores[query, asked, searched], lists[query, asked, searched]
                    positives = [scores[query, asked, p][own] for p in ("en", "ko")]
                    most = row[number] if number in listed else row[listed[-1]]
                    if not all(below(most, positive, strategy) for positive in positives):
                        verdicts.add("own_positive" if number in listed else "unlisted")
                if verdicts:
                    dropped["own_positive" if "own_positive" in verdicts else "unlisted"] += 1
                else:
                    left.append(POOL[number])
            assert kept.get((query, q, n)) == (left[:2] if len(left) >= 2 else None)
    for reason, count in dropped.items():
        assert sum(counts[reason] for counts in report["directions"].values()) == count
    assert dropped["own_positive"] > 0
    assert (dropped["unlisted"] > 0) == (direction != "each")  # in its own list, every candidate is listed


def test_the_share_above_the_positive_is_that_of_every_composition(workspace):
    strategy = WINDOW | {"direction": "en-en"}
    scores, kept, report = mined(workspace, 1, strategy, depth=40)
    wanted = exceeding(scores, kept, {"absolute_margin": 0.0})
    assert report["above_positive"] == pytest.approx(wanted, abs=1e-5)
    assert wanted["enenen"] == 0 < wanted["enkoen"]
    # One below the depth counts with the last score of its list.
    _, kept, report = mined(workspace, 1, strategy, depth=20)
    known = exceeding(scores, kept, {"absolute_margin": 0.0})
    assert all(report["above_positive"][name] > share - 1e-5 for name, share in known.items())


def test_directions_that_a_query_is_not_asked_in_do_not_hold_it_back(workspace):
    _, table = ranked(2)
    strategy = WINDOW | {"direction": "en-en", "margin_against": "both"}
    mined(workspace, 2, strategy)
    tables.write(table.filter(query_lang="en"), "data/candidates/ranked.parquet", CANDIDATES)
    workspace.run("negatives")
    kept = tables.read("data/negatives/window.parquet", NEGATIVES)
    assert set(kept["query_lang"]) == {"en"}
    report = json.loads(Path("metrics/negatives.json").read_text())["window"]
    assert set(report["above_positive"]) == {"enenen", "enenko", "enkoen", "enkoko"}


def test_both_without_a_margin_is_told():
    with pytest.raises(ValueError, match="margin_against both needs a margin"):
        Negatives(k=1, rank_min=1, rank_max=2, margin_against="both")
