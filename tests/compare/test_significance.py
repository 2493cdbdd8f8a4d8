"""Corrections, paired tests and intervals, against other computations of them."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.compare import significance
from stages.settings.compare import Compare
from stages.shared.tasks import task_groups

SETTINGS = Compare(metric="ndcg@10", select_on="dev", confidence=0.95, resamples=2000, correction="holm")
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
            rows += [("dev", model, task, f"q{i}", v) for i, v in enumerate(own)]
    return pl.DataFrame(rows, schema=["benchmark", "model", "task", "query", "value"], orient="row")


def run(values, references=("base",), settings=SETTINGS, seed=1):
    names = values["model"].unique(maintain_order=True).to_list()
    return significance.test(values, GROUPS, "dev", names, list(references), settings, seed)


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
    wanted = significance.correct(table["p"].to_numpy(), "holm")
    np.testing.assert_allclose(table["p_corrected"].to_numpy(), wanted, rtol=0.02)
    assert table["significant"].to_list() == (wanted < 0.05).tolist()
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
