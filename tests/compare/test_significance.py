"""Corrections, paired tests and intervals, against other computations of them."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.compare import significance
from stages.settings.compare import Inference
from stages.shared.tasks import task_groups

SETTINGS = Inference(confidence=0.95, resamples=2000, correction="holm")
GROUPS = task_groups(["en", "ko"])


def test_corrections_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(significance.correct(p, "bonferroni"), [0.04, 0.16, 0.12, 0.02])
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, then 0.04 x 1, which may not fall below the one before.
    np.testing.assert_allclose(significance.correct(p, "holm"), [0.03, 0.06, 0.06, 0.02])
    many = np.array([0.5, 0.9, 0.4])
    np.testing.assert_allclose(significance.correct(many, "bonferroni"), [1, 1, 1])
    np.testing.assert_allclose(significance.correct(many, "holm"), [1, 1, 1])


@pytest.mark.parametrize("seed", range(5))
def test_holm_lies_between_no_correction_and_bonferroni(seed):
    p = np.random.default_rng(seed).random(20) ** 4
    holm = significance.correct(p, "holm")
    assert (p <= holm + 1e-12).all()
    assert (holm <= significance.correct(p, "bonferroni") + 1e-12).all()
    assert (np.diff(holm[np.argsort(p)]) >= 0).all()


def scores(by_model, queries=40, seed=0, tasks=("en-en", "ko-ko", "en-ko", "ko-en")):
    """Values around each model's mean, the noise of a query shared by all models."""
    rng = np.random.default_rng(seed)
    rows = []
    for task in tasks:
        shared = rng.normal(size=queries) * 0.1
        for model, mean in by_model.items():
            own = shared + rng.normal(size=queries) * 0.02 + mean
            rows += [("dev", model, task, f"q{i}", "ndcg@10", v) for i, v in enumerate(own)]
    return pl.DataFrame(rows, schema=["benchmark", "model", "task", "query", "metric", "value"], orient="row")


def run(values, references=("base",), settings=SETTINGS, seed=1):
    names = values["model"].unique(maintain_order=True)
    compared = [(name, reference) for reference in references for name in names if name != reference]
    return significance.test(values, GROUPS, "dev", compared, settings, seed)


def per_query(values, model, tasks):
    own = values.filter(pl.col("model") == model, pl.col("task").is_in(tasks))
    return own.group_by("query").agg(pl.col("value").mean()).sort("query")["value"].to_numpy()


def test_differences_and_p_are_those_of_paired_queries_over_a_groups_tasks():
    values = scores({"base": 0.5, "a": 0.52, "b": 0.5})
    table = run(values, ("base", "a"))
    assert table.select("group", "model", "reference").rows() == [
        (group, model, reference)
        for group in ("mono", "cross")
        for reference in ("base", "a")
        for model in ("base", "a", "b")
        if model != reference
    ]
    for row in table.iter_rows(named=True):
        tasks = [t for t, g in GROUPS.items() if g == row["group"]]
        one, other = (per_query(values, row[side], tasks) for side in ("model", "reference"))
        assert row["queries"] == 40
        assert row["difference"] == pytest.approx((one - other).mean(), abs=1e-5)
        assert row["p"] == pytest.approx(stats.ttest_rel(one, other).pvalue, rel=0.01)
        assert row["low"] < row["difference"] < row["high"]
    # base and a are compared twice, the other way around: one test in each group.
    distinct = table.filter(~pl.struct("model", "reference").is_in([{"model": "base", "reference": "a"}]))
    assert distinct.height == 3 * 2
    wanted = significance.correct(distinct["p"].to_numpy(), "holm")
    np.testing.assert_allclose(distinct["p_corrected"].to_numpy(), wanted, rtol=0.02)
    turned, ahead = table.filter(model="base", reference="a"), table.filter(model="a", reference="base")
    assert turned["p_corrected"].to_list() == ahead["p_corrected"].to_list()
    assert turned["difference"].to_list() == (-ahead["difference"]).to_list()
    assert distinct["significant"].to_list() == (wanted < 0.05).tolist()
    assert True in table["significant"].to_list()
    assert False in table["significant"].to_list()


def test_a_bootstrap_interval_is_about_that_of_the_normal_and_repeats():
    values = scores({"base": 0.5, "a": 0.52})
    row = run(values).row(0, named=True)
    tasks = ["en-en", "ko-ko"]
    difference = per_query(values, "a", tasks) - per_query(values, "base", tasks)
    half = 1.96 * difference.std() / np.sqrt(len(difference))
    assert row["low"] == pytest.approx(difference.mean() - half, abs=0.15 * half)
    assert row["high"] == pytest.approx(difference.mean() + half, abs=0.15 * half)
    assert run(values).equals(run(values))
    assert not run(values, seed=2).equals(run(values))
    wider = run(values, settings=SETTINGS.model_copy(update={"confidence": 0.99})).row(0, named=True)
    assert wider["low"] < row["low"]
    assert wider["high"] > row["high"]


def test_intervals_cover_the_true_difference_as_often_as_they_say():
    few = SETTINGS.model_copy(update={"resamples": 300})
    covered = 0
    for seed in range(100):
        row = run(scores({"base": 0.5, "a": 0.51}, seed=seed, tasks=("en-en",)), settings=few).row(0, named=True)
        covered += row["low"] <= 0.01 <= row["high"]
    assert 85 <= covered <= 100


def test_equal_models_differ_by_nothing():
    values = scores({"base": 0.5})
    table = run(pl.concat([values, values.with_columns(model=pl.lit("copy"))]))
    assert table.select("difference", "low", "high", "p", "p_corrected", "significant").unique().rows() == [
        (0.0, 0.0, 0.0, 1.0, 1.0, False)
    ]


def test_a_constant_difference_is_certain_and_one_query_is_not():
    values = scores({"base": 0.5})
    better = values.with_columns(model=pl.lit("a"), value=pl.col("value") + 0.25)
    assert run(pl.concat([values, better]))["significant"].to_list() == [True, True]
    single = pl.concat([values, better]).filter(pl.col("query") == "q0")
    assert run(single)["p"].to_list() == [1.0, 1.0]


def test_resamples_are_the_same_in_blocks_of_any_size(monkeypatch):
    values = scores({"base": 0.5, "a": 0.52})
    whole = run(values)
    monkeypatch.setattr(significance, "DRAWS", 1)
    assert run(values).equals(whole)


def test_intervals_are_those_of_resampled_rows():
    columns = np.random.default_rng(3).normal(size=(30, 2))
    low, high = significance.intervals(columns, SETTINGS, 7)
    drawn = np.random.default_rng(7).integers(30, size=(SETTINGS.resamples, 30))
    wanted = np.quantile(columns[drawn].mean(axis=1), [0.025, 0.975], axis=0)
    np.testing.assert_allclose([low, high], wanted)


def biased(gaps):
    """Language biases of base, and of a model that has `gaps` more."""
    rows = [
        ("dev", model, "en-*", f"q{i}", "language_bias", 10.0 + (gap if model == "a" else 0.0))
        for i, gap in enumerate(gaps)
        for model in ("base", "a")
    ]
    table = pl.DataFrame(rows, ["benchmark", "model", "task", "query", "metric", "value"], orient="row")
    return run(table).row(0, named=True)


def test_language_bias_differs_where_both_its_mean_and_its_ranks_do():
    steady = [1.0, 2.0, 3.0, 4.0] * 10
    clear = biased(steady)
    assert (clear["group"], clear["difference"], clear["median"], clear["significant"]) == (
        "language_bias",
        2.5,
        2.5,
        True,
    )
    assert clear["p_mean"] == pytest.approx(stats.ttest_1samp(steady, 0).pvalue, rel=0.01)
    assert clear["p_ranks"] == pytest.approx(stats.wilcoxon(steady).pvalue, rel=0.01)
    assert clear["p"] == max(clear["p_mean"], clear["p_ranks"])
    # A few queries outweigh what most have a little of, or hide it from the mean alone.
    hidden = biased([*steady, 900.0])
    assert hidden["p_ranks"] < 0.001 < 0.05 < hidden["p_mean"] == hidden["p"] and not hidden["significant"]
    # The mean says more, the ranks less.
    torn = biased([*[-gap for gap in steady], *[300.0] * 6])
    assert torn["difference"] > 0 > torn["median"]
    assert torn["p_mean"] < 0.05 and torn["p_ranks"] < 0.05 and torn["p"] == 1.0


def test_language_bias_is_the_mean_over_query_languages():
    rows = [
        ("dev", model, task, query, "language_bias", value)
        for model, more in (("base", 0.0), ("a", 1.0))
        for task, query, value in (("en-*", "p", 4.0), ("ko-*", "p", 2.0), ("en-*", "q", 9.0))
        for value in [value + more]
    ]
    table = pl.DataFrame(rows, ["benchmark", "model", "task", "query", "metric", "value"], orient="row")
    assert significance.by_query(table, GROUPS).filter(model="base").rows() == [
        ("language_bias", "base", "p", 3.0),
        ("language_bias", "base", "q", 9.0),
    ]


def test_random_signs_are_those_of_all_signs():
    """The sum of 1, 2, 3 and -1 is 5, and of the 2 ** 4 signs two give 7 or -7, and four 5 or -5."""
    gaps = np.array([1.0, 2.0, 3.0, -1.0])
    every = [abs(np.dot(signs, gaps)) for signs in product((-1, 1), repeat=4)]
    exact = sum(total >= 5 for total in every) / 16
    assert exact == 6 / 16
    p = significance.by_signs(np.stack([gaps, 0 * gaps], axis=1), 20000, 1)
    assert p[0] == pytest.approx(exact, abs=0.015)
    assert p[1] == 1.0
    # What is never reached is not impossible.
    assert significance.by_signs(np.ones((60, 1)), 999, 1)[0] == 1 / 1000


def test_random_signs_agree_with_the_t_test_and_repeat():
    values = scores({"base": 0.5, "a": 0.52, "b": 0.503})
    table = run(values, ("base", "a"))
    assert table["p_random"].to_list() == pytest.approx(table["p_mean"].to_list(), abs=0.02)
    assert run(values, ("base", "a"))["p_random"].to_list() == table["p_random"].to_list()
    turned, ahead = table.filter(model="base", reference="a"), table.filter(model="a", reference="base")
    assert turned["p_random"].to_list() == ahead["p_random"].to_list()


def test_effects_and_the_queries_that_a_point_needs():
    """Differences of 0 and 0.2 in turn: mean 0.1, deviation 0.1 x sqrt(40 / 39), so that d is sqrt(39 / 40), and a
    point takes ((1.95996 + 0.84162) x 0.10127 / 0.01) ** 2 = 805.01 queries."""
    values = scores({"base": 0.5})
    step = pl.col("query").str.strip_prefix("q").cast(pl.Int64) % 2 * 0.2
    table = run(pl.concat([values, values.with_columns(model=pl.lit("a"), value=pl.col("value") + step)]))
    row = table.row(0, named=True)
    assert abs(row["effect"]) == pytest.approx((39 / 40) ** 0.5, abs=1e-3)
    assert row["needed"] == 806
    same = run(pl.concat([values, values.with_columns(model=pl.lit("a"))])).row(0, named=True)
    assert (same["effect"], same["needed"], same["p_random"]) == (None, None, 1.0)
