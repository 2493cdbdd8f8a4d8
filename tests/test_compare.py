"""compare: corrections, tests, intervals, the front and the choice, by hand."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.compare import contamination, means, significance
from stages.contamination import EXAMPLES_TABLE
from stages.schemas.scores import QUERY_SCORES
from stages.settings.compare import Compare
from stages.shared import tables
from stages.shared.errors import UserError
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


def worth(rows, benchmark="dev"):
    return pl.DataFrame(
        [(benchmark, *row) for row in rows], schema=["benchmark", "model", "mono", "cross"], orient="row"
    )


def test_the_front_holds_those_that_no_other_beats():
    points = [("a", 0.9, 0.1), ("b", 0.5, 0.5), ("c", 0.5, 0.4), ("d", 0.1, 0.9), ("e", 0.4, 0.5), ("f", 0.5, 0.5)]
    assert means.pareto(worth(points)) == {"a", "b", "d", "f"}
    assert means.pareto(worth([("a", 0.5, None), ("b", 0.6, None)])) == {"b"}


def test_the_choice_looks_at_its_benchmark_and_names_alone():
    rows = pl.concat(
        [
            worth([("a", 0.9, 0.1), ("b", 0.6, 0.6), ("c", 0.7, 0.7), ("d", 0.7, 0.7)]),
            worth([("a", 1.0, 1.0), ("b", 0.0, 0.0), ("c", 0.0, 0.0), ("d", 0.1, 0.1)], "test"),
        ]
    )
    assert means.choose(rows, "dev", ["a", "b", "c", "d"]) == "c"
    assert means.choose(rows, "dev", ["a", "b"]) == "b"
    assert means.choose(rows, "test", ["a", "b", "c"]) == "a"


def test_one_kind_of_task_alone_decides_where_there_is_no_other():
    for mono, cross in ((None, 1.0), (1.0, None)):
        level = {"a": 0.5, "b": 0.7, "c": 0.7, "d": 0.1}
        rows = [(n, mono and mono * value, cross and cross * value) for n, value in level.items()]
        table = worth(rows).cast({"mono": pl.Float64, "cross": pl.Float64})
        assert means.choose(table, "dev", list(level)) == "b"
        assert means.choose(table, "dev", ["d", "a"]) == "a"
        assert means.pareto(table) == {"b", "c"}


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
    row = significance.over_seeds(values, GROUPS, "base", SETTINGS, 1).row(0, named=True)
    # p: 1, 0 and -0.25 of three seeds; q: 0 and 0.25 of two; r, s and t of one.
    differences = np.array([0.25, 0.125, -0.5, 1.0, -0.5])
    assert row["queries"] == 5
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["p"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    # The differences of the seeds are 0.5 / 3, 1.25 / 3 and -0.75 / 2.
    assert (row["seeds"], row["same_sign"]) == (3, 2)
    turned = significance.over_seeds(values, GROUPS, "a", SETTINGS, 1).row(0, named=True)
    assert (turned["model"], turned["difference"], turned["same_sign"]) == ("base", -row["difference"], 2)


def test_over_one_seed_it_is_the_test_of_the_stage():
    values = scores({"base": 0.5, "a": 0.52, "b": 0.5})
    tests = significance.over_seeds(values.with_columns(seed=pl.lit(7)), GROUPS, "base", SETTINGS, 1)
    assert tests["seeds"].to_list() == tests["same_sign"].to_list() == [1] * 4
    alone = significance.family(tests.drop("seeds", "same_sign"), SETTINGS)
    assert alone.equals(run(values).drop("benchmark"))


def test_the_same_seed_again_adds_no_certainty():
    values = scores({"base": 0.5, "a": 0.505})
    once, thrice = (
        significance.over_seeds(
            pl.concat(values.with_columns(seed=pl.lit(seed)) for seed in range(count)), GROUPS, "base", SETTINGS, 1
        )
        for count in (1, 3)
    )
    assert thrice["seeds"].to_list() == thrice["same_sign"].to_list() == [3, 3]
    for column in ("queries", "difference", "low", "high", "p"):
        np.testing.assert_allclose(thrice[column].to_numpy(), once[column].to_numpy(), rtol=1e-9)


def test_means_are_over_tasks():
    values = scores({"base": 0.5, "a": 0.6}, queries=3)
    gaps = pl.DataFrame(
        [("dev", "a", "en-*", "q0", 4.0), ("dev", "a", "en-*", "q1", 6.0), ("dev", "a", "ko-*", "q0", 1.0)],
        schema=["benchmark", "model", "task", "query", "value"],
        orient="row",
    )
    found = {row["model"]: row for row in means.by_model(values, gaps, GROUPS).iter_rows(named=True)}
    for model in ("base", "a"):
        for group, tasks in (("mono", ["en-en", "ko-ko"]), ("cross", ["en-ko", "ko-en"])):
            wanted = values.filter(pl.col("model") == model, pl.col("task").is_in(tasks))["value"].mean()
            assert found[model][group] == pytest.approx(wanted, abs=1e-5)
        assert found[model]["multi"] is None
    assert found["a"]["language_bias"] == 3.0
    assert found["base"]["language_bias"] is None


def leak(shares=(), shown=(), recipes=("koenko", "enenen"), benchmarks=("dev", "test")):
    """Write what `contamination` found: `shares` {(benchmark, recipe, language): {count: share}}, else nothing."""
    clean = {"queries": 0.0, "queries_exact": 0.0, "passages": 0.0, "passages_exact": 0.0}
    report = {b: {r: {lang: dict(clean) for lang in ("en", "ko", "*")} for r in recipes} for b in benchmarks}
    for (benchmark, recipe, lang), found in dict(shares).items():
        report[benchmark][recipe][lang] |= found
    tables.write_json(report, contamination.METRICS)
    table = pl.DataFrame(list(shown), schema=EXAMPLES_TABLE, orient="row")
    tables.write(table, contamination.EXAMPLES, EXAMPLES_TABLE)


TASKS = ("en-en", "en-ko", "en-*")


def measure(level, tasks=None, mrr=lambda value: 1.0):
    """Write the scores of `level` {benchmark: {model: mean}}, in `tasks` {benchmark: names}."""
    for model in next(iter(level.values())):
        rows = []
        for benchmark, values in level.items():
            for task in (tasks or {}).get(benchmark, TASKS):
                for metric, value in (("ndcg@10", values[model]), ("mrr@10", mrr(values[model]))):
                    rows += [(benchmark, task, f"q{i}", metric, value + i / 100) for i in range(5)]
                if "*" in task:
                    rows += [(benchmark, task, f"q{i}", "language_bias", float(i)) for i in range(5)]
        table = pl.DataFrame(rows, schema=QUERY_SCORES, orient="row")
        tables.write(table, f"data/scores/{model}.parquet", QUERY_SCORES)


@pytest.fixture
def study(workspace):
    """A study of two recipes and a merge, measured on dev and test."""
    recipes = {n: {"compositions": [n], "negatives": "window"} for n in ("koenko", "enenen")}
    workspace.edit(recipes=recipes, merges={"m": {"method": "linear", "weights": dict.fromkeys(recipes, 1)}})
    measure(
        {
            "dev": {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6},
            "test": {"base": 0.9, "koenko": 0.1, "enenen": 0.8, "m": 0.2},
        }
    )
    leak()
    return workspace


def summary():
    return json.loads(Path("metrics/summary.json").read_text())


def test_the_stage_chooses_on_dev_and_writes_its_tables(study):
    study.run("compare")
    written = summary()
    assert written["best_recipe"] == "koenko"
    assert written["chosen_model"] == "m"
    assert written["test"]["base"] == {"mono": 0.92, "cross": 0.92, "multi": 0.92, "language_bias": 2.0}
    tradeoff = pl.read_csv("metrics/tables/tradeoff/test.csv")
    assert tradeoff.filter(pl.col("pareto"))["model"].to_list() == ["base"]
    assert tradeoff.filter(pl.col("query_negatives_match"))["model"].to_list() == ["koenko"]
    assert dict(tradeoff.select("model", "kind").iter_rows()) == {
        "base": "base",
        "koenko": "recipe",
        "enenen": "recipe",
        "m": "merge",
    }
    tasks = pl.read_csv("metrics/tables/tasks/dev.csv")
    assert tasks.filter(model="m", task="en-ko")["value"].to_list() == [0.62]
    tested = pl.read_csv("metrics/tables/significance/dev.csv")
    assert set(tested["reference"]) == {"base", "koenko"}
    assert tested.height == 3 * 2 * 3


def test_a_benchmark_is_compared_by_its_own_metric(study):
    """Here mrr@10 turns the order around; on dev, it then decides which model is chosen."""
    values = {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6}
    tasks = ("en-en", "en-ko")
    measure({"dev": values, "test": values}, {"dev": tasks, "test": tasks}, mrr=lambda value: 1 - value)
    held_out = {"source": "held-out", "path": "data/corpus"}
    study.edit(
        benchmarks={"dev": held_out | {"split": "dev"}, "test": held_out | {"split": "test", "metric": "mrr@10"}}
    )
    study.run("compare")
    written = summary()
    assert (written["best_recipe"], written["chosen_model"]) == ("koenko", "m")
    assert written["dev"]["m"] == {"mono": 0.62, "cross": 0.62}
    assert written["test"]["m"] == {"mono": 0.42, "cross": 0.42}
    tested = pl.read_csv("metrics/tables/significance/test.csv").filter(model="m", reference="base")
    assert tested["difference"].to_list() == [-0.3, -0.3]
    assert pl.read_csv("metrics/tables/tasks/test.csv").filter(model="m")["value"].to_list() == [0.42, 0.42]
    front = pl.read_csv("metrics/tables/tradeoff/test.csv").filter(pl.col("pareto"))
    assert front["model"].to_list() == ["base"]
    study.edit(benchmarks__dev__metric="mrr@10", benchmarks__test__metric=None)
    study.run("compare")
    written = summary()
    assert (written["best_recipe"], written["chosen_model"]) == ("enenen", "base")
    assert written["dev"]["m"]["mono"] == 0.42
    assert written["test"]["m"]["mono"] == 0.62


def test_a_benchmark_of_one_cross_lingual_task_and_a_language_of_its_own(study):
    study.edit(
        benchmarks={
            "dev": {
                "source": "intents",
                "path": "x",
                "columns": {"text": "t", "label": "l"},
                "languages": ["hi-Latn", "en"],
            },
            "test": {"source": "held-out", "path": "data/corpus", "split": "test"},
        }
    )
    values = {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6}
    measure({"dev": values, "test": values}, {"dev": ["hi-Latn-en"], "test": ["en-en", "ko-ko"]})
    study.run("compare")
    written = summary()
    assert (written["best_recipe"], written["chosen_model"]) == ("koenko", "m")
    assert written["dev"]["m"] == {"cross": 0.62}
    assert written["test"]["m"] == {"mono": 0.62}
    tested = pl.read_csv("metrics/tables/significance/dev.csv")
    assert set(tested["group"]) == {"cross"}
    front = pl.read_csv("metrics/tables/tradeoff/dev.csv").filter(pl.col("pareto"))
    assert front["model"].to_list() == ["m"]
    assert pl.read_csv("metrics/tables/bias/dev.csv").is_empty()


def row(name, lang, slot, match, text, trained):
    return ("test", "enenen", "passage", name, lang, slot, match, 1.0, text, trained)


def test_more_contamination_than_is_allowed_is_refused_and_nothing_is_written(study):
    found = {
        ("test", "enenen", "ko"): {"queries": 0.01, "passages": 0.25},
        ("test", "enenen", "*"): {"queries": 0.01, "passages": 0.2},
        ("test", "koenko", "en"): {"passages": 0.21},
        ("dev", "enenen", "en"): {"queries": 1.0},
    }
    shown = [
        row("p1", "ko", "negative", "exact", "negatives are no ground", "negatives are no ground"),
        row("p2", "en", "positive", "exact", "another language", "another language"),
        ("test", "koenko", *row("p2", "ko", "positive", "exact", "another recipe", "another recipe")[2:]),
        row("p3", "ko", "positive", "near", "x" * 90, "trained\n on"),
    ]
    leak(found, shown)
    study.edit(benchmarks__test__max_contamination=0.2)
    Path("metrics/summary.json").write_text("before")
    with pytest.raises(UserError) as error:
        study.run("compare")
    text = str(error.value)
    assert "recipes.enenen trains on 25 % of the passages of the benchmark test in ko" in text
    assert "benchmarks.test.max_contamination allows 20 %" in text and "1 more go beyond it" in text
    assert f"p3 {'x' * 79}…" in text.replace("'", "") and "as a positive 'trained on'" in text
    assert "raise the limit" in text
    assert "another" not in text and "no ground" not in text
    assert Path("metrics/summary.json").read_text() == "before"
    assert not Path("metrics/tables").exists()


def test_the_limit_itself_is_allowed_and_null_allows_all(study):
    leak({("test", "koenko", "*"): {"queries": 0.2}})
    for limit, allowed in ((0.2, True), (0.19999, False), (0.0, False), (None, True), (1.0, True)):
        study.edit(benchmarks__test__max_contamination=limit)
        if allowed:
            study.run("compare")
            assert summary()["contamination"] == {
                "dev": {"queries": 0.0, "passages": 0.0},
                "test": {"queries": 0.2, "passages": 0.0},
            }
        else:
            with pytest.raises(UserError, match=r"in some language, .*contamination\.examples 0 keeps no examples"):
                study.run("compare")


def test_passages_that_are_not_counted_are_not_limited(study):
    """Those of a benchmark by label are the knowledge base, which is trained on by right."""
    leak()
    report = json.loads(contamination.METRICS.read_text())
    report["test"]["koenko"]["en"] = {"queries": 0.0, "passages_known": 1.0}
    report["test"]["koenko"]["*"] = {"queries": 0.01, "passages_known": 1.0}
    tables.write_json(report, contamination.METRICS)
    study.edit(benchmarks__test__max_contamination=0.01)
    study.run("compare")
    assert summary()["contamination"]["test"] == {"queries": 0.01, "passages": 0.0}
    study.edit(benchmarks__test__max_contamination=0.009)
    with pytest.raises(UserError, match="trains on 1 % of the queries of the benchmark test"):
        study.run("compare")


def test_options_are_those_of_the_experiments(study, capsys):
    with pytest.raises(SystemExit):
        study.run("compare", "--against", "base")
    assert "required: --experiments" in capsys.readouterr().err
    assert not Path("metrics/summary.json").exists()


def test_a_measurement_of_another_study_is_stale(study):
    leak(recipes=("koenko",))
    with pytest.raises(UserError, match="says nothing of enenen on dev: run `dvc repro`"):
        study.run("compare")
    contamination.METRICS.unlink()
    with pytest.raises(UserError, match=r"contamination\.json is missing"):
        study.run("compare")
