"""The split: exact shares, and nothing but ids and the seed to decide."""

from collections import Counter

import numpy as np
import polars as pl

from stages.schemas.texts import SPLITS
from stages.settings.split import Split
from stages.shared import split

SHARES = Split(train=0.6, dev=0.15, test=0.25)


def strata(count, size, languages=("en", "ko")):
    rows = [(f"s{s}-{i}", lang, f"s{s}") for s in range(count) for i in range(size) for lang in languages]
    return pl.DataFrame(rows, schema=["passage", "lang", "stratum"], orient="row")


def sizes(assigned):
    return dict(assigned.unique("passage")["split"].value_counts().iter_rows())


def test_totals_are_exact_however_small_the_strata():
    assert sizes(split.assign(strata(60, 10), SHARES, 1)) == {"train": 360, "dev": 90, "test": 150}
    # A stratum alone would owe dev and test less than a passage each.
    found = sizes(split.assign(strata(200, 1), SHARES, 1))
    assert found["test"] == 50
    assert found["dev"] in (29, 30)


def test_each_stratum_gets_its_share_to_a_passage():
    assigned = split.assign(strata(60, 10), SHARES, 1).unique("passage")
    for _, members in assigned.group_by("stratum"):
        found = Counter(members["split"])
        assert found["test"] in (2, 3)
        assert found["dev"] in (1, 2)


def test_the_split_depends_on_ids_and_seed_not_on_the_order_of_rows():
    table = strata(20, 7)
    one = split.assign(table, SHARES, 1).sort("passage", "lang")
    assert split.assign(table.sample(fraction=1, shuffle=True, seed=5), SHARES, 1).sort("passage", "lang").equals(one)
    assert not split.assign(table, SHARES, 2).sort("passage", "lang").equals(one)


def test_a_passage_has_one_split_in_all_languages():
    assigned = split.assign(strata(9, 4, ("en", "ko", "hi-Latn")), SHARES, 1)
    assert assigned.group_by("passage").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 36


def test_a_split_may_be_empty():
    assert sizes(split.assign(strata(3, 5), Split(train=1, dev=0, test=0), 1)) == {"train": 15}


def test_a_stratum_that_comes_last_changes_none_before_it():
    before = split.assign(strata(9, 10), SHARES, 1)
    more = pl.DataFrame([(f"z{i}", "en", "z") for i in range(10)], schema=["passage", "lang", "stratum"], orient="row")
    after = split.assign(pl.concat([strata(9, 10), more]), SHARES, 1)
    assert after.join(more, on="passage", how="anti").sort("passage", "lang").equals(before.sort("passage", "lang"))


def test_no_passages_are_split_into_none():
    empty = strata(3, 2).clear()
    assert split.assign(empty, SHARES, 1).is_empty()
    assert split.assign(empty, SHARES, 1).columns == ["passage", "lang", "stratum", "split"]


def draw(sizes, shares, strata=None, seed=1):
    orders = np.random.default_rng(seed).integers(0, 2**63, len(sizes)).astype(np.uint64)
    strata = np.zeros(len(sizes), int) if strata is None else np.array(strata)
    return split.draw(strata, orders, np.array(sizes), shares)


def drawn(sizes, shares, **more):
    splits = split.named(draw(sizes, shares, **more)).to_list()
    return {name: sum(size for size, part in zip(sizes, splits, strict=True) if part == name) for name in SPLITS}


def test_families_are_counted_by_their_passages():
    sizes = [1, 2, 3, 1, 1, 4] * 50
    assert drawn(sizes, SHARES) == {"train": 360, "dev": 90, "test": 150}
    strata = [number % 7 for number in range(len(sizes))]
    found = drawn(sizes, SHARES, strata=strata)
    assert abs(found["test"] - 150) <= 4 and abs(found["dev"] - 90) <= 4


def test_a_family_too_large_for_a_split_is_passed_over():
    for seed in range(10):
        assert drawn([500, *[1] * 500], SHARES, seed=seed) == {"train": 600, "dev": 150, "test": 250}
        assert drawn([90, 90], SHARES, seed=seed) == {"train": 180, "dev": 0, "test": 0}


def test_families_stand_in_the_order_of_their_numbers():
    orders = np.array([4, 2, 9, 1], np.uint64)
    splits = split.draw(np.zeros(4, int), orders, np.ones(4, int), Split(train=0.5, dev=0.25, test=0.25))
    assert split.named(splits).to_list() == ["train", "dev", "train", "test"]
