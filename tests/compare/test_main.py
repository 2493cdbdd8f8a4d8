"""compare: the choice on one benchmark, and the tables of all."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.compare import contamination
from stages.schemas.scores import MODEL_METRICS, QUERY_SCORES
from stages.schemas.texts import PASSAGES
from stages.shared import scoring, tables
from stages.shared.errors import UserError
from stages.shared.tasks import task_groups


def leak(shares=(), recipes=("koenko", "enenen"), benchmarks=("dev", "test")):
    """Write what `contamination` found: `shares` {(benchmark, recipe, language): {count: share}}, else nothing."""
    clean = {"queries": 0.0, "queries_exact": 0.0, "passages": 0.0, "passages_exact": 0.0}
    report = {b: {r: {lang: dict(clean) for lang in ("en", "ko", "*")} for r in recipes} for b in benchmarks}
    for (benchmark, recipe, lang), found in dict(shares).items():
        report[benchmark][recipe][lang] |= found
    tables.write_json(report, contamination.CONTAMINATION_METRICS)


TASKS = ("en-en", "en-ko", "en-*")


def measure(level, tasks=None, mrr=lambda value: 1.0):
    """Write what `score` has of `level` {benchmark: {model: mean}}, in `tasks` {benchmark: names}."""
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
        told = scoring.summary(table, task_groups(["en", "ko", "hi-Latn"]))
        tables.write_json(told, MODEL_METRICS / f"{model}.json")


@pytest.fixture
def study(workspace):
    """A study of two recipes and a merge, measured on dev and test beside a reference that is better than them all."""
    recipes = {n: {"compositions": [n], "negatives": "window"} for n in ("koenko", "enenen")}
    workspace.edit(
        recipes=recipes,
        merges={"m": {"method": "linear", "weights": dict.fromkeys(recipes, 1)}},
        references={"r": {"bm25": {}}},
    )
    measure(
        {
            "dev": {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6, "r": 0.7},
            "test": {"base": 0.9, "koenko": 0.1, "enenen": 0.8, "m": 0.2, "r": 0.95},
        }
    )
    leak()
    trained()
    return workspace


def trained(**rows):
    """Write what `trainsets` counted of each recipe: 100 rows, or as many as `rows` says."""
    counts = {name: {name: {"rows": rows.get(name, 100)}} for name in ("koenko", "enenen")}
    tables.write_json({"recipes": counts, "queries": {}}, Path("metrics/trainsets.json"))


def summary():
    return json.loads(Path("metrics/summary.json").read_text())


def test_the_stage_chooses_on_dev_and_writes_its_tables(study, caplog):
    caplog.set_level("INFO")
    study.run("compare")
    written = summary()
    assert written["best_recipe"] == "koenko"
    assert written["chosen_model"] == "m"
    assert written["test"]["base"] == {
        **{"mono": 0.92, "cross": 0.92, "multi": 0.92},
        **{"language_bias": 2.0, "language_bias_median": 2.0},
    }
    assert written["leads"]["best_recipe"] == {"over": "enenen", "lead": 0.1, "standard_error": 0.0}
    assert written["leads"]["chosen_model"] == {"over": "koenko", "lead": 0.1, "standard_error": 0.0}
    assert "best model on dev: m, 10.00 ± 0.00 points ahead of koenko" in caplog.text
    tradeoff = pl.read_csv("metrics/tables/tradeoff/test.csv")
    assert tradeoff.filter(pl.col("pareto"))["model"].to_list() == ["base"]
    assert tradeoff.filter(pl.col("query_negatives_match"))["model"].to_list() == ["koenko"]
    assert dict(tradeoff.select("model", "kind").iter_rows()) == {
        "base": "base",
        "koenko": "recipe",
        "enenen": "recipe",
        "m": "merge",
        "r": "reference",
    }
    tasks = pl.read_csv("metrics/tables/tasks/dev.csv")
    assert tasks.filter(model="m", task="en-ko")["value"].to_list() == [0.62]
    tested = pl.read_csv("metrics/tables/significance/dev.csv")
    assert set(tested["reference"]) == {"base", "koenko"}
    assert tested.height == 4 * 2 * 4
    bias = pl.read_csv("metrics/tables/bias/dev.csv")
    assert bias["model"].to_list() == ["base", "koenko", "enenen", "m", "r"]
    row = bias.row(0, named=True)
    assert row["language_bias"] == row["language_bias_median"] == 2.0
    assert 0.0 <= row["low"] < 2.0 < row["high"] <= 4.0


def test_a_row_without_language_bias_is_compared_in_all_else(study):
    """As a fusion is, whose runs do not hold all relevant passages."""
    file = Path("data/scores/r.parquet")
    values = tables.read(file, QUERY_SCORES).filter(pl.col("metric") != "language_bias")
    tables.write(values, file, QUERY_SCORES)
    tables.write_json(scoring.summary(values, task_groups(["en", "ko"])), MODEL_METRICS / "r.json")
    study.run("compare")
    assert set(pl.read_csv("metrics/tables/bias/test.csv")["model"]) == {"base", "koenko", "enenen", "m"}
    tested = pl.read_csv("metrics/tables/significance/test.csv").filter(model="r")
    assert set(tested["group"]) == {"mono", "cross", "multi"}
    assert summary()["test"]["r"].keys() == {"mono", "cross", "multi"}


def test_what_is_re_ranked_is_compared_with_its_own_first_stage(study):
    rows = {"rr": "data/runs/r", "rm": "data/runs/m", "rb": "data/runs/base"}
    study.edit(
        rerankers={"c": {"compositions": ["enenen"], "negatives": "window"}},
        rerank={name: {"reranker": "c", "first_stage": first, "depth": 10} for name, first in rows.items()},
    )
    leak(recipes=("koenko", "enenen", "c"))
    own = {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6, "r": 0.7}
    measure({benchmark: {**own, "rr": 0.9, "rm": 0.1, "rb": 0.8} for benchmark in ("dev", "test")})
    study.run("compare")
    # However good it is, it is not chosen.
    assert summary()["chosen_model"] == "m"
    tradeoff = pl.read_csv("metrics/tables/tradeoff/test.csv")
    assert tradeoff.filter(kind="re-ranked")["model"].to_list() == ["rr", "rm", "rb"]
    assert not tradeoff.filter(kind="re-ranked")["pareto"].any()
    tested = pl.read_csv("metrics/tables/significance/test.csv").filter(group="mono")
    found = {
        (model, reference): gap for model, reference, gap in tested.select("model", "reference", "difference").rows()
    }
    assert found["rr", "r"] == pytest.approx(0.2) and found["rm", "m"] == pytest.approx(-0.5)
    assert len(found) == tested.height == 7 + 7 + 2
    assert found["rb", "base"] == pytest.approx(0.5)


def test_a_benchmark_is_compared_by_its_own_metric(study):
    """Here mrr@10 turns the order around; on dev, it then decides which model is chosen."""
    values = {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6, "r": 0.2}
    tasks = ("en-en", "en-ko")
    measure({"dev": values, "test": values}, {"dev": tasks, "test": tasks}, mrr=lambda value: 1 - value)
    held_out = {"source": "held-out", "path": "data/collected"}
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
            "test": {"source": "held-out", "path": "data/collected", "split": "test"},
        }
    )
    values = {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6, "r": 0.2}
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


def test_the_summary_has_the_most_that_a_recipe_trains_on(study):
    found = {
        ("test", "koenko", "*"): {"queries": 0.2},
        ("test", "enenen", "ko"): {"queries": 0.1, "passages": 0.01},
    }
    leak(found)
    study.run("compare")
    assert summary()["contamination"] == {
        "dev": {"queries": 0.0, "passages": 0.0},
        "test": {"queries": 0.2, "passages": 0.01},
    }


def test_passages_that_are_not_counted_are_none(study):
    """Those of a benchmark by label are the knowledge base, which is trained on by right."""
    leak()
    report = json.loads(contamination.CONTAMINATION_METRICS.read_text())
    report["test"]["koenko"]["en"] = {"queries": 0.0, "passages_known": 1.0}
    report["test"]["koenko"]["*"] = {"queries": 0.01, "passages_known": 1.0}
    tables.write_json(report, contamination.CONTAMINATION_METRICS)
    study.run("compare")
    assert summary()["contamination"]["test"] == {"queries": 0.01, "passages": 0.0}


CONTRAST = {"models": ["m"], "against": ["koenko", "enenen"], "beside": ["r"]}


def in_domains(study):
    """Give q0, q1 and q2 passages of science, and q3 one of society; q4's is of neither."""
    strata = {"p0": "420", "p1": "420", "p2": "450", "p3": "300", "p4": "900"}
    study.corpus([(name, "test") for name in strata], [(f"q{i}", f"p{i}") for i in range(5)])
    passages = tables.read("data/corpus/passages.parquet", PASSAGES)
    passages = passages.with_columns(stratum=pl.col("passage").replace_strict(strata))
    tables.write(passages, "data/corpus/passages.parquet", PASSAGES)
    return study.edit(domains={"science": ["4*"], "society": ["3?0"]})


def test_a_contrast_is_tested_by_domain_and_corrected_by_itself(study, caplog):
    caplog.set_level("INFO")
    in_domains(study).edit(compare__contrasts={"merging": CONTRAST})
    # All but the last query gain 0.1, unevenly.
    for name in ("dev", "test"):
        values = tables.read("data/scores/m.parquet", QUERY_SCORES)
        uneven = pl.col("value") + pl.col("query").str.tail(1).cast(pl.Float64) ** 2 / 100
        changed = pl.when((pl.col("metric") == "ndcg@10") & (pl.col("benchmark") == name)).then(uneven)
        tables.write(values.with_columns(value=changed.otherwise("value")), "data/scores/m.parquet", QUERY_SCORES)
    study.run("compare")
    assert "1 queries are of no domain" in caplog.text
    means = pl.read_csv("metrics/tables/domains/test.csv")
    assert means.filter(model="m")["queries"].to_list() == [5, 3, 1]
    # 0.2, and of q0 to q2 0, 0.01 and 0.02, and the squares of these by 100.
    found = means.filter(model="m", domain="science").row(0, named=True)
    assert found["mono"] == pytest.approx(0.2 + (0.01 + 0.02 + 0.01 + 0.04) / 3, abs=1e-5)
    tested = pl.read_csv("metrics/tables/contrasts/test.csv")
    assert set(tested["contrast"]) == {"merging"} and tested["domain"].unique(maintain_order=True).to_list() == [
        *("*", "science", "society")
    ]
    assert tested.height == 3 * 4 * 2 and set(tested["reference"]) == {"koenko", "enenen"}
    row = tested.filter(domain="science", group="mono", reference="koenko").row(0, named=True)
    assert (row["queries"], row["difference"]) == (3, pytest.approx(0.1 + 0.05 / 3, abs=1e-5))
    # Holm's method over the 24: the least p, of all of them, counts that often.
    least = tested.filter(pl.col("p") == tested["p"].min()).row(0, named=True)
    assert least["p_corrected"] == pytest.approx(min(1, 24 * least["p"]), rel=0.01)
    # One query is no spread.
    assert tested.filter(domain="society", group="mono")["p"].to_list() == [1.0, 1.0]


def test_what_models_cost_is_told(study):
    trained(enenen=10)
    study.edit(
        recipes__koenko__train={"steps": 7},
        merges={
            "m": {"method": "linear", "weights": {"koenko": 1, "enenen": 1}},
            "of": {"method": "linear", "weights": {"m": 1, "koenko": 1}},
        },
    )
    level = {"base": 0.3, "koenko": 0.5, "enenen": 0.4, "m": 0.6, "of": 0.5, "r": 0.7}
    measure({"dev": level, "test": level})
    study.run("compare")
    found = json.loads(Path("metrics/costs.json").read_text())
    assert found["base"] == {"recipes": [], "steps": 0, "examples": 0, "rows": 0}
    assert found["koenko"] == {"recipes": ["koenko"], "steps": 7, "examples": 7 * 64, "rows": 100}
    # A batch has no more queries than there are rows; what is within twice costs once.
    assert found["of"] == {"recipes": ["koenko", "enenen"], "steps": 67, "examples": 7 * 64 + 60 * 10, "rows": 110}


@pytest.mark.parametrize(
    ("domains", "said"),
    [
        (
            {"science": ["7*"]},
            r"domains\.science has '7\*', which fits no stratum of the source \(300, 420, 450, 900\)",
        ),
        ({"science": ["4*"], "all": ["*"]}, r"the stratum '420' is of domains\.science and of domains\.all"),
    ],
)
def test_domains_that_no_passage_has_or_two_share_are_refused(study, domains, said):
    in_domains(study).edit(domains=domains)
    with pytest.raises(UserError, match=said):
        study.run("compare")


def test_options_are_those_of_the_experiments(study):
    with pytest.raises(UserError, match=r"compare takes no options: .* `python -m tools\.experiments`"):
        study.run("compare", "--against", "base")
    assert not Path("metrics/summary.json").exists()


def test_a_measurement_of_another_study_is_stale(study):
    leak(recipes=("koenko",))
    with pytest.raises(UserError, match="says nothing of enenen on dev: run `dvc repro`"):
        study.run("compare")
    contamination.CONTAMINATION_METRICS.unlink()
    with pytest.raises(UserError, match=r"contamination\.json is missing"):
        study.run("compare")


def test_a_model_that_was_not_measured_is_named_and_nothing_is_written(study):
    (MODEL_METRICS / "enenen.json").unlink()
    with pytest.raises(UserError, match=r"enenen\.json says nothing of dev: run `dvc repro`"):
        study.run("compare")
    assert not Path("metrics/summary.json").exists() and not Path("metrics/tables").exists()
