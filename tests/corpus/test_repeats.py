"""Which passages stay and which must not be parted, beside what comparing each with each finds."""

import gzip
import json
import random

import numpy as np
import polars as pl
import pytest

from stages.corpus import near, repeats
from stages.settings.split import Split
from stages.shared import duplicates, sketches, split
from tests.conftest import ROOT

DATA = ROOT.parent / "shared/data/parallel_ko_en/paragraphs.train.jsonl.gz"
SHARES = Split(train=0.5, dev=0.25, test=0.25)


def find(rows, folder, threshold=None):
    """What `repeats.find` finds among rows of plain texts."""
    flat = [text for row in rows for text in row]
    known = {}
    first = np.array([known.setdefault(text, number) for number, text in enumerate(flat)], np.uint32)
    index = near.Near(folder / "near", threshold) if threshold else None
    if index:
        half = len(rows) // 2
        for some in (rows[:half], rows[half:]):
            index.add(pl.DataFrame(some, [str(i) for i in range(len(rows[0]))], orient="row"))
        index.close(first == np.arange(len(first)))
        index.put(iter([pl.Series([flat[number] for number in index.proposed], dtype=pl.String)]))
    return repeats.find(first.reshape(len(rows), -1), index)


def similarity(left, right):
    left, right = duplicates.grams(left), duplicates.grams(right)
    return len(left & right) / len(left | right)


def by_hand(rows, same):
    """The twin of each row, or -1, and its family, where `same` says which texts count as the same."""
    twins, families = [], list(range(len(rows)))
    for number, row in enumerate(rows):
        linked = [other for other in range(number) if any(same(text, text2) for text in row for text2 in rows[other])]
        twins.append(next((other for other in linked if twins[other] < 0), -1))
        joined = {families[other] for other in [*linked, number]}
        families = [min(joined) if family in joined else family for family in families]
    return twins, families


@pytest.mark.parametrize("seed", range(30))
def test_equal_texts_in_random_graphs(tmp_path, seed):
    dice = random.Random(seed)
    languages, texts = dice.choice([1, 2, 3]), dice.choice([20, 60, 200])
    rows = [tuple(str(dice.randrange(texts)) for _ in range(languages)) for _ in range(80)]
    found = find(rows, tmp_path)
    assert (found.twins.tolist(), found.families.tolist()) == by_hand(rows, lambda one, two: one == two)


def near_rows(dice, count):
    """Rows of letters in which texts of earlier rows come back, some with a letter changed."""
    rows = []
    for _ in range(count):
        row = []
        for _ in range(2):
            text = "".join(dice.choices("abcdefghijklm", k=60))
            if rows and dice.random() < 0.5:
                text = dice.choice(dice.choice(rows))
                if dice.random() < 0.7:
                    place = dice.randrange(len(text))
                    text = text[:place] + dice.choice("xyz") + text[place + 1 :]
            row.append(text)
        rows.append(tuple(row))
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_nearly_equal_texts_in_random_chains(tmp_path, seed):
    rows = near_rows(random.Random(seed), 90)
    found = find(rows, tmp_path, 0.8)
    twins, families = by_hand(rows, lambda one, two: one == two or similarity(one, two) >= 0.8)
    assert (found.twins >= 0).tolist() == [twin >= 0 for twin in twins]
    assert found.families.tolist() == families
    assert sum(found.near) > 5 and sum(found.exact) > 5
    for row, twin in enumerate(found.twins.tolist()):
        assert twin < 0 or (found.twins[twin] < 0 and twin < row)


@pytest.mark.parametrize("seed", range(10))
def test_no_passage_is_in_another_split_than_what_it_is_linked_with(tmp_path, seed):
    dice = random.Random(seed)
    rows = [tuple(f"{lang}{dice.randrange(150)}" for lang in ("en", "ko")) for _ in range(120)]
    found = find(rows, tmp_path)
    stay = np.flatnonzero(found.twins < 0)
    heads, member, sizes = np.unique(found.families[stay], return_inverse=True, return_counts=True)
    orders = np.random.default_rng(seed).integers(0, 2**63, len(heads)).astype(np.uint64)
    splits = split.draw(np.zeros(len(heads), int), orders, sizes, SHARES)[member]
    of_text = {}
    # A passage left out carries the split on: it is where any passage with a text of it is.
    for _ in range(len(rows)):
        for row, name in zip(stay.tolist(), splits.tolist(), strict=True):
            for text in rows[row]:
                assert of_text.setdefault(text, name) == name
        for row in rows:
            known = [of_text[text] for text in row if text in of_text]
            for text in row if known else ():
                assert of_text.setdefault(text, known[0]) == known[0]
    assert set(splits.tolist()) == {0, 1, 2}


def test_boilerplate_costs_no_more_than_a_few_comparisons_a_text(tmp_path, monkeypatch):
    compared = []
    similar = near._similar
    monkeypatch.setattr(near, "_similar", lambda *sets: compared.append(1) or similar(*sets))
    text = "This page was not found, so here is all that we can offer instead, number {} of them, and nothing more"
    rows = [(text.replace("{}", f"{number:05}"), f"{number * 7919:030}") for number in range(3000)]
    found = find(rows, tmp_path, 0.8)
    assert (found.twins >= 0).sum() == 2999
    assert len(set(found.families.tolist())) == 1
    assert len(compared) < 3000 * near.COMPARED / 2


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
def test_duplicates_of_real_pairs_are_found(tmp_path):
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line, _ in zip(lines, range(700), strict=False)]
    table = pl.DataFrame([(pair["en"], pair["ko"]) for pair in pairs], ["en", "ko"], orient="row")
    rows = table.select(sketches.plain(pl.col("en", "ko"))).rows()
    grams = {text: duplicates.grams(text) for row in rows for text in row}

    def same(one, two):
        left, right = grams[one], grams[two]
        if one == two or min(len(left), len(right)) < 0.7 * max(len(left), len(right)):
            return one == two
        shared = len(left & right)
        return shared >= 0.7 * (len(left) + len(right) - shared)

    twins, families = by_hand(rows, same)
    found = find(rows, tmp_path, 0.7)
    assert (found.twins >= 0).tolist() == [twin >= 0 for twin in twins]
    assert found.families.tolist() == families
    assert sum(found.near) > 10 and sum(found.exact) > 0
