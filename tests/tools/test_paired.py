"""Models over several seeds: a query counts once, whatever the number of seeds that asked it."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.compare import significance
from tests.compare.test_significance import GROUPS, SETTINGS, run, scores
from tools import paired


def seeded(*by_seed):
    """Values of each seed, given as {model: {query: value}} in en-ko."""
    rows = [
        (seed, "dev", model, "en-ko", query, "ndcg@10", value)
        for seed, models in enumerate(by_seed)
        for model, asked in models.items()
        for query, value in asked.items()
    ]
    return pl.DataFrame(rows, ["seed", "benchmark", "model", "task", "query", "metric", "value"], orient="row")


def test_over_seeds_a_query_is_its_mean_in_those_that_asked_it():
    values = seeded(
        {"base": {"p": 0.0, "q": 1.0, "r": 0.5}, "a": {"p": 1.0, "q": 1.0, "r": 0.0}},
        {"base": {"p": 0.5, "q": 0.0, "s": 0.0}, "a": {"p": 0.5, "q": 0.25, "s": 1.0}},
        {"base": {"p": 1.0, "t": 1.0}, "a": {"p": 0.75, "t": 0.5}},
    )
    row = paired.over_seeds(values, GROUPS, "base", SETTINGS, 1).row(0, named=True)
    # p: 1, 0 and -0.25 of three seeds; q: 0 and 0.25 of two; r, s and t of one.
    differences = np.array([0.25, 0.125, -0.5, 1.0, -0.5])
    assert row["queries"] == 5
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["p"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    # The differences of the seeds are 0.5 / 3, 1.25 / 3 and -0.75 / 2.
    assert (row["seeds"], row["same_sign"]) == (3, 2)
    turned = paired.over_seeds(values, GROUPS, "a", SETTINGS, 1).row(0, named=True)
    assert (turned["model"], turned["difference"], turned["same_sign"]) == ("base", -row["difference"], 2)


def test_over_one_seed_it_is_the_test_of_the_stage():
    values = scores({"base": 0.5, "a": 0.52, "b": 0.5})
    tests = paired.over_seeds(values.with_columns(seed=pl.lit(7)), GROUPS, "base", SETTINGS, 1)
    assert tests["seeds"].to_list() == tests["same_sign"].to_list() == [1] * 4
    alone = significance.family(tests.drop("seeds", "same_sign"), SETTINGS)
    assert alone.equals(run(values).drop("benchmark"))


def test_the_same_seed_again_adds_no_certainty():
    values = scores({"base": 0.5, "a": 0.505})
    once, thrice = (
        paired.over_seeds(
            pl.concat(values.with_columns(seed=pl.lit(seed)) for seed in range(count)), GROUPS, "base", SETTINGS, 1
        )
        for count in (1, 3)
    )
    assert thrice["seeds"].to_list() == thrice["same_sign"].to_list() == [3, 3]
    for column in ("queries", "difference", "low", "high", "p"):
        np.testing.assert_allclose(thrice[column].to_numpy(), once[column].to_numpy(), rtol=1e-9)


def drawn(rng, seeds=5, queries=40, more=0.0, by_seed=0.0, by_query=0.0, rest=0.1):
    """Values of `base`, and of `a` that has `more`, with deviations by seed, by query, and of each alone."""
    gaps = more + rng.normal(size=(seeds, 1)) * by_seed + rng.normal(size=queries) * by_query
    gaps = gaps + rng.normal(size=(seeds, queries)) * rest
    base = {f"q{i}": 0.5 for i in range(queries)}
    return seeded(*({"base": base, "a": {q: 0.5 + own[i] for i, q in enumerate(base)}} for own in gaps))


def claim(values, pair=("a", "base")):
    return paired.claims(values, GROUPS, [pair], 0.05).row(0, named=True)


def test_a_claim_is_tested_against_seeds_and_queries():
    values = seeded(
        {"base": {"p": 0.0, "q": 0.0}, "a": {"p": 0.3, "q": 0.1}},
        {"base": {"p": 0.0, "q": 0.0}, "a": {"p": 0.5, "q": 0.2}},
        {"base": {"p": 0.0, "q": 0.0}, "a": {"p": -0.2, "q": 0.0}},
    )
    row = claim(values)
    seeds, queries = np.array([0.2, 0.35, -0.1]), np.array([0.2, 0.1])
    assert (row["group"], row["seeds"], row["queries"], row["same_sign"], row["alone"]) == ("cross", 3, 2, 2, 0)
    assert row["difference"] == pytest.approx(0.15) and row["deviation"] == pytest.approx(seeds.std(ddof=1))
    assert row["p_seeds"] == pytest.approx(stats.ttest_1samp(seeds, 0).pvalue)
    assert row["p_queries"] == pytest.approx(stats.ttest_1samp(queries, 0).pvalue)
    # Clark's min F' of the two F, and its degrees of freedom.
    by_seeds, by_queries = (0.15**2 / (own.var(ddof=1) / len(own)) for own in (seeds, queries))
    least = by_seeds * by_queries / (by_seeds + by_queries)
    freedom = (by_seeds + by_queries) ** 2 / (by_seeds**2 / 1 + by_queries**2 / 2)
    assert row["p"] == pytest.approx(stats.f.sf(least, 1, freedom))
    assert row["low"] < 0 < row["high"] and (row["low"] + row["high"]) / 2 == pytest.approx(0.15)
    turned = claim(values, ("base", "a"))
    assert turned["difference"] == -row["difference"] and turned["p"] == row["p"]


def test_a_clear_claim_is_found_in_each_seed_alone_too():
    row = claim(drawn(np.random.default_rng(1), more=0.2, by_seed=0.02, by_query=0.05))
    assert row["p"] < 0.001 and row["same_sign"] == row["alone"] == row["seeds"] == 5


@pytest.mark.parametrize("noise", [{"by_seed": 0.05}, {"by_query": 0.2}, {"by_seed": 0.04, "by_query": 0.2}, {}])
def test_what_is_not_there_is_found_as_seldom_as_it_says(noise):
    """Tests over seeds alone, or over queries alone, find it too often, wherever the other varies."""
    rng = np.random.default_rng(0)
    rows = [claim(drawn(rng, **noise)) for _ in range(80)]
    assert sum(row["p"] < 0.05 for row in rows) <= 8
    if noise:
        assert max(sum(row[p] < 0.05 for row in rows) for p in ("p_seeds", "p_queries")) > 12


def test_equal_models_are_no_claim():
    assert claim(drawn(np.random.default_rng(0), rest=0.0))["p"] == 1.0
