"""Sketches beside `duplicates`, which they stand for."""

import random

import numpy as np
import polars as pl
import pytest

from stages.shared import duplicates, sketches

TEXTS = [
    "It costs 1.5 or 1.2.3, not 15; see C# & co.",
    "1..2 and 3.-4, 5'6",
    "Ｆｕｌｌ　ｗｉｄｔｈ, ﬁne ㎏",
    "Straße STRASSE ΟΔΟΣ",
    "다리가, 놓였다! 1.5km",
    "橋を かけた。",
    "ab",
    "가",
    "👩‍👩‍👧 hi\u00adphen a\u200bb",
    "a 1. 2 b",
    "",
]


def plain(texts):
    return pl.DataFrame({"text": texts}, {"text": pl.String}).select(sketches.plain(pl.col("text")))["text"]


def test_plain_is_that_of_duplicates():
    assert plain(TEXTS).to_list() == [duplicates.plain(text) for text in TEXTS]


def test_plain_of_random_texts_is_that_of_duplicates():
    dice = random.Random(1)
    texts = ["".join(dice.choices("aB1９.,-–#% \t다。、", k=dice.randrange(1, 30))) + "a" for _ in range(2000)]
    assert plain(texts).to_list() == [duplicates.plain(text) for text in texts]


def test_punctuation_alone_is_not_all_the_same():
    assert plain(["?", "...", "- -"]).to_list() == ["?", "...", "- -"]


@pytest.mark.parametrize("texts", [TEXTS, ["가"], ["abcd", "abcde"], [""], []])
def test_grams_are_those_of_duplicates(texts):
    texts = plain(texts)
    numbers, starts = sketches.grams(texts)
    assert len(starts) == len(texts) + 1 and starts[-1] == len(numbers)
    found = [
        set(numbers[begin:end].tolist()) for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]
    expected = [duplicates.grams(text) for text in texts]
    assert [len(one) for one in found] == [len(one) for one in expected]
    for left, own in zip(found, expected, strict=True):
        for right, other in zip(found, expected, strict=True):
            assert len(left & right) == len(own & other)


def test_texts_as_similar_as_the_threshold_share_a_key():
    dice = random.Random(2)
    words = ["".join(dice.choices("abcdefgh", k=5)) for _ in range(400)]
    pairs = []
    while len(pairs) < 400:
        text = "".join(dice.sample(words, 20))
        other = text[:-2] + "zz" if dice.random() < 0.5 else "zz" + text
        left, right = duplicates.grams(text), duplicates.grams(other)
        if len(left & right) / len(left | right) >= 0.9:
            pairs.append((text, other))
    one, two = (sketches.keys(pl.Series(side), 0.9) for side in zip(*pairs, strict=True))
    assert one.shape == (400, duplicates.bands(0.9)[0])
    assert ((one == two).any(axis=1)).sum() >= 398
    assert not (one == np.roll(two, 1, axis=0)).any(axis=1).sum() > 4


def test_keys_do_not_depend_on_the_texts_beside():
    texts = plain(TEXTS)
    alone = np.concatenate([sketches.keys(texts[i : i + 1], 0.8) for i in range(len(texts))])
    assert np.array_equal(sketches.keys(texts, 0.8), alone)


def test_firsts_are_where_a_number_was_first():
    dice = np.random.default_rng(1)
    numbers = dice.integers(0, 2**64, 500, np.uint64)[dice.integers(0, 500, 3000)]
    seen = {}
    expected = [seen.setdefault(number, place) for place, number in enumerate(numbers.tolist())]
    assert sketches.firsts(numbers).tolist() == expected
    assert sketches.firsts(np.zeros(4, np.uint64)).tolist() == [0, 0, 0, 0]
    assert sketches.firsts(np.zeros(0, np.uint64)).tolist() == []
