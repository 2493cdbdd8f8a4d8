"""Models over several seeds: a query counts once, whatever the number of seeds that asked it."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.compare import significance
from tests.compare.test_significance import GROUPS, SETTINGS, run, scores
from tools import seeds


def seeded(*by_seed):
    """Values of each seed, given as {model: {query: value}} in en-ko."""
    rows = [
        (seed, "dev", model, "en-ko", query, value)
        for seed, models in enumerate(by_seed)
        for model, asked in models.items()
        for query, value in asked.items()
    ]
    return pl.DataFrame(rows, ["seed", "benchmark", "model", "task", "query", "value"], orient="row")


def test_over_seeds_a_query_is_its_mean_in_those_that_asked_it():
    values = seeded(
        {"base": {"p": 0.0, "q": 1.0, "r": 0.5}, "a": {"p": 1.0, "q": 1.0, "r": 0.0}},
        {"base": {"p": 0.5, "q": 0.0, "s": 0.0}, "a": {"p": 0.5, "q": 0.25, "s": 1.0}},
        {"base": {"p": 1.0, "t": 1.0}, "a": {"p": 0.75, "t": 0.5}},
    )
    row = seeds.over_seeds(values, GROUPS, "base", SETTINGS, 1).row(0, named=True)
    # p: 1, 0 and -0.25 of three seeds; q: 0 and 0.25 of two; r, s and t of one.
    differences = np.array([0.25, 0.125, -0.5, 1.0, -0.5])
    assert row["queries"] == 5
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["p"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    # The differences of the seeds are 0.5 / 3, 1.25 / 3 and -0.75 / 2.
    assert (row["seeds"], row["same_sign"]) == (3, 2)
    turned = seeds.over_seeds(values, GROUPS, "a", SETTINGS, 1).row(0, named=True)
    assert (turned["model"], turned["difference"], turned["same_sign"]) == ("base", -row["difference"], 2)


def test_over_one_seed_it_is_the_test_of_the_stage():
    values = scores({"base": 0.5, "a": 0.52, "b": 0.5})
    tests = seeds.over_seeds(values.with_columns(seed=pl.lit(7)), GROUPS, "base", SETTINGS, 1)
    assert tests["seeds"].to_list() == tests["same_sign"].to_list() == [1] * 4
    alone = significance.family(tests.drop("seeds", "same_sign"), SETTINGS)
    assert alone.equals(run(values).drop("benchmark"))


def test_the_same_seed_again_adds_no_certainty():
    values = scores({"base": 0.5, "a": 0.505})
    once, thrice = (
        seeds.over_seeds(
            pl.concat(values.with_columns(seed=pl.lit(seed)) for seed in range(count)), GROUPS, "base", SETTINGS, 1
        )
        for count in (1, 3)
    )
    assert thrice["seeds"].to_list() == thrice["same_sign"].to_list() == [3, 3]
    for column in ("queries", "difference", "low", "high", "p"):
        np.testing.assert_allclose(thrice[column].to_numpy(), once[column].to_numpy(), rtol=1e-9)
