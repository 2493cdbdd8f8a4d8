"""The split: exact shares, and nothing but ids and the seed to decide."""

from collections import Counter

import polars as pl

from stages.shared import params, split

SHARES = params.Split(train=0.6, dev=0.15, test=0.25)


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
    assert sizes(split.assign(strata(3, 5), params.Split(train=1, dev=0, test=0), 1)) == {"train": 15}


def test_a_stratum_that_comes_last_changes_none_before_it():
    before = split.assign(strata(9, 10), SHARES, 1)
    more = pl.DataFrame([(f"z{i}", "en", "z") for i in range(10)], schema=["passage", "lang", "stratum"], orient="row")
    after = split.assign(pl.concat([strata(9, 10), more]), SHARES, 1)
    assert after.join(more, on="passage", how="anti").sort("passage", "lang").equals(before.sort("passage", "lang"))


def test_no_passages_are_split_into_none():
    empty = strata(3, 2).clear()
    assert split.assign(empty, SHARES, 1).is_empty()
    assert split.assign(empty, SHARES, 1).columns == ["passage", "lang", "stratum", "split"]
