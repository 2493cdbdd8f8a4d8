"""labels: answers by the nearest entry's label, calibration, the threshold of rejection, confusions."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from stages import labels
from stages.schemas.benchmarks import BENCHMARK_LABELS, BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.schemas.runs import RUN
from stages.shared import scoring, tables

RECIPES = {"one": {"compositions": ["enenen"], "negatives": "window"}}
HINGLISH = {"source": "hinglish-top", "path": "x", "languages": ["hi-Latn", "en"]}


def table(rows, schema):
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def benchmark(name, queries, entries, by_label=True):
    """Write a benchmark: `queries` rows (query, lang, label), `entries` rows (passage, lang, label)."""
    folder = Path("data/benchmarks") / name
    labelled = {("query", q, label) for q, _, label in queries} | {("passage", p, label) for p, _, label in entries}
    judged = {(q, p, lang, 1) for q, _, wanted in queries for p, lang, label in entries if label == wanted}
    asked = [(q, lang, f"{q} in {lang}?") for q, lang, _ in queries]
    tables.write(table(asked, BENCHMARK_QUERIES), folder / "queries.parquet", BENCHMARK_QUERIES)
    tables.write(table(sorted(judged), BENCHMARK_QRELS), folder / "qrels.parquet", BENCHMARK_QRELS)
    labelled = sorted(labelled) if by_label else []
    tables.write(table(labelled, BENCHMARK_LABELS), folder / "labels.parquet", BENCHMARK_LABELS)


def run(model, name, ranked):
    """Write a run: `ranked` {(task, query): [(passage, lang, score)]}, best first."""
    rows = [
        (task, query, passage, lang, rank, points)
        for (task, query), found in ranked.items()
        for rank, (passage, lang, points) in enumerate(found, 1)
    ]
    tables.write(table(rows, RUN), Path("data/runs") / model / f"{name}.run.parquet", RUN)


def report(workspace, **changes):
    workspace.edit(recipes=RECIPES, merges={}, references={}, **changes).run("labels")
    return json.loads(Path("metrics/labels.json").read_text())


ENTRIES = [("a1", "en", "pay/a"), ("a2", "en", "pay/a"), ("b1", "en", "pay/b"), ("c1", "en", "card/c")]
QUERIES = [
    ("q1", "hi-Latn", "pay/a"),
    ("q2", "hi-Latn", "pay/a"),
    ("q3", "hi-Latn", "pay/b"),
    ("q4", "hi-Latn", "card/c"),
]


def found(*names, top=0.9):
    return [(name, "en", top - 0.1 * i) for i, name in enumerate(names)]


# First entries of the query's label at the ranks 1, 3, 2 and none.
RANKED = {
    ("hi-Latn-en", "q1"): found("a2", "a1", "b1", "c1"),
    ("hi-Latn-en", "q2"): found("b1", "c1", "a1", top=0.8),
    ("hi-Latn-en", "q3"): found("a1", "b1", top=0.7),
    ("hi-Latn-en", "q4"): found("b1", "a1", top=0.6),
}


@pytest.fixture
def study(workspace):
    """Two models on `dev`, by label, and on `plain`, which is not."""
    workspace.edit(benchmarks={"dev": HINGLISH, "plain": {"source": "beir", "path": "x"}})
    benchmark("dev", QUERIES, ENTRIES)
    benchmark("plain", [("q1", "en", "x")], [("p", "en", "x")], by_label=False)
    for model in ("base", "one"):
        run(model, "dev", RANKED)
    return workspace


def test_the_first_entry_of_the_label_counts(study):
    found = report(study)
    assert list(found) == ["dev"]
    assert found["dev"]["tasks"] == {
        "hi-Latn-en": {"queries": 4, "labels": 3, "categories": {"card": 1, "pay": 3}},
    }
    own = found["dev"]["models"]["one"]["tasks"]["hi-Latn-en"]
    assert own["accuracy@1"] == 0.25 and own["accuracy@3"] == 0.75 and own["accuracy@5"] == 0.75
    assert own["mrr"] == round((1 + 1 / 3 + 1 / 2) / 4, 5)
    assert own["macro"] == round((1 / 2 + 0 + 0) / 3, 5)
    assert own["categories"] == {"card": 0.0, "pay": round(1 / 3, 5)}
    assert found["dev"]["models"]["base"] == found["dev"]["models"]["one"]


def test_accuracies_are_those_of_score(workspace):
    """Recall@k by label is `accuracy@k` of trec_eval, in every task, also for queries that a run lacks."""
    generator = np.random.default_rng(3)
    names, langs = ["w", "x", "y", "z"], ["en", "hi-Latn"]
    entries = [(f"p{i}", lang, names[i % 4]) for i in range(12) for lang in langs]
    queries = [(f"q{i}", lang, names[i % 4]) for i in range(20) for lang in langs]
    benchmark("dev", queries, entries)
    ranked = {}
    for query, lang, _ in queries[:-3]:
        for corpus in (*langs, "*"):
            pool = [e[:2] for e in entries if corpus in ("*", e[1])]
            rows = [(*pool[i], 1 - n / 50) for n, i in enumerate(generator.permutation(len(pool)))]
            ranked[f"{lang}-{corpus}", query] = rows
    for model in ("base", "one"):
        run(model, "dev", ranked)
    found = report(workspace, benchmarks={"dev": HINGLISH})["dev"]["models"]["one"]["tasks"]
    metrics = ["accuracy@1", "accuracy@3", "accuracy@5", "mrr@100"]
    values = scoring.per_query(
        tables.read("data/runs/one/dev.run.parquet", RUN),
        tables.read("data/benchmarks/dev/queries.parquet", BENCHMARK_QUERIES),
        tables.read("data/benchmarks/dev/qrels.parquet", BENCHMARK_QRELS),
        metrics,
    )
    assert set(found) == set(values["task"]) and len(found) == 6
    for task, own in found.items():
        for metric in metrics:
            wanted = values.filter(task=task, metric=metric)["value"].mean()
            assert own[metric.removesuffix("@100")] == pytest.approx(wanted, abs=6e-6), (task, metric)


def test_the_threshold_is_the_lowest_that_is_precise_enough(study):
    own = report(study, labels__precision=0.5)["dev"]["models"]["one"]
    # Right, wrong, wrong, wrong from the top: half are right down to 0.8.
    assert own["threshold"] == 0.8
    task = own["tasks"]["hi-Latn-en"]
    assert (task["answered"], task["precision"], task["accuracy"]) == (0.5, 0.5, 0.25)
    own = report(study, labels__precision=0.6)["dev"]["models"]["one"]
    # 0.9 as a float32 is a little less, and a score is rounded down.
    assert own["threshold"] == 0.89999
    assert own["tasks"]["hi-Latn-en"]["answered"] == 0.25 and own["tasks"]["hi-Latn-en"]["precision"] == 1.0


def test_a_precision_dips_and_comes_back():
    rows = [(0.9, 1), (0.8, 2), (0.7, 1), (0.7, 1), (0.6, 2), (0.5, None)]
    answered = pl.DataFrame(rows, schema={"score": pl.Float64, "first": pl.UInt32}, orient="row")
    assert labels.reject_below(answered, 0.75) == 0.7
    assert labels.reject_below(answered, 0.76) == 0.9
    assert labels.reject_below(answered, 0.5) == 0.5
    assert labels.reject_below(answered.filter(pl.col("first") != 1), 0.1) is None


def test_no_threshold_is_precise_enough(study):
    run("one", "dev", {key: rows for key, rows in RANKED.items() if key[1] != "q1"})
    own = report(study)["dev"]["models"]["one"]
    assert own["threshold"] is None
    task = own["tasks"]["hi-Latn-en"]
    assert (task["answered"], task["precision"], task["accuracy"], task["auroc"]) == (None,) * 4
    assert task["ece"] is not None


def test_without_labels_to_choose_on_nothing_is_mapped_or_rejected(study):
    study.edit(compare__select_on="plain")
    own = report(study)["dev"]["models"]["one"]
    assert own["threshold"] is None and own["probability"] is None
    task = own["tasks"]["hi-Latn-en"]
    assert task["ece"] is None and task["answered"] is None
    assert task["accuracy@1"] == 0.25 and task["auroc"] == 1.0
    assert task["bins"][-1] == [0.89999, None, 1.0] and len(task["bins"]) == 4


def test_the_threshold_of_one_benchmark_serves_the_others(study):
    study.edit(benchmarks={"dev": HINGLISH, "test": HINGLISH})
    benchmark("test", QUERIES[:2], ENTRIES)
    for model in ("base", "one"):
        run(model, "test", {("hi-Latn-en", "q1"): found("c1", top=0.85), ("hi-Latn-en", "q2"): found("a1", top=0.3)})
    both = report(study, labels__precision=0.5)
    assert both["test"]["models"]["one"]["threshold"] == both["dev"]["models"]["one"]["threshold"] == 0.8
    assert both["test"]["models"]["one"]["probability"] == both["dev"]["models"]["one"]["probability"]
    task = both["test"]["models"]["one"]["tasks"]["hi-Latn-en"]
    assert (task["answered"], task["precision"], task["accuracy"], task["auroc"]) == (0.5, 0.0, 0.0, 0.0)


def test_a_pool_repeats_answers_and_chooses_nothing(study):
    languages = [("q1", "en", "pay/a"), ("q4", "en", "card/c")]
    benchmark("dev", [*languages], [*ENTRIES, ("d1", "hi-Latn", "card/c")])
    ranked = {
        ("en-en", "q1"): found("a1"),
        ("en-en", "q4"): found("a1", top=0.5),
        ("en-hi-Latn", "q4"): [("d1", "hi-Latn", 0.4)],
        ("en-*", "q1"): found("b1", top=0.2),
        ("en-*", "q4"): found("b1", top=0.1),
    }
    for model in ("base", "one"):
        run(model, "dev", ranked)
    own = report(study, labels__precision=0.6)["dev"]
    # q1 has no entry of its label in hi-Latn, so that it is not asked there.
    assert {task: n["queries"] for task, n in own["tasks"].items()} == {"en-en": 2, "en-hi-Latn": 1, "en-*": 2}
    assert own["models"]["one"]["threshold"] == 0.4
    assert own["models"]["one"]["confusions"] == [["card/c", "pay/a", 1, "q4 in en?"]]
    assert own["models"]["one"]["tasks"]["en-*"]["answered"] == 0.0


def test_confusions_are_the_most_frequent_with_the_surest_example():
    rows = [
        ("a", "b", 0.5, "low"),
        ("a", "b", 0.9, "  sure\n of it "),
        ("b", "a", 0.8, "x" * 200),
        ("a", "c", 0.99, "once"),
        ("a", "a", 1.0, "right"),
        ("c", None, None, "none"),
    ]
    schema = {"label": pl.String, "answer": pl.String, "score": pl.Float64, "text": pl.String}
    answered = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        task=pl.lit("en-en"), query=pl.int_range(6).cast(pl.String)
    )
    found = labels.confusions(answered, 3)
    assert found[:2] == [["a", "b", 2, "sure of it"], ["a", "c", 1, "once"]]
    assert found[2][:3] == ["b", "a", 1] and len(found[2][3]) == labels.EXAMPLE_CHARS
    assert labels.confusions(answered, 1) == found[:1] and labels.confusions(answered, 0) == []


def test_a_logistic_map_is_found_and_calibrates():
    generator = np.random.default_rng(0)
    scores = generator.normal(0.6, 0.1, 20_000)
    rights = generator.random(20_000) < 1 / (1 + np.exp(-(12 * scores - 7)))
    found = labels.fit(scores, rights)
    assert found.slope == pytest.approx(12, abs=0.4) and found.intercept == pytest.approx(-7, abs=0.3)
    order = np.argsort(scores)
    curve, error = labels.reliability(scores[order], rights[order], found, 10)
    assert error < 0.015 and len(curve) == 10
    assert [point[0] for point in curve] == sorted(point[0] for point in curve)
    # A map that is sure of everything is off by the share of wrong answers.
    _, sure = labels.reliability(scores[order], rights[order], labels.Map(0.0, 50.0), 10)
    assert sure == pytest.approx(1 - rights.mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "rights", "wanted"),
    [
        ([0.1, 0.9], [False, True], None),
        ([0.5, 0.5, 0.5], [True, False, True], 2 / 3),
        ([0.1, 0.9, 0.8], [True, False, False], 1 / 3),
        ([0.1, 0.2], [True, True], 3 / 4),
    ],
)
def test_a_map_of_few_scores_is_finite_and_never_falls(scores, rights, wanted):
    """`wanted`: its value where it is constant: where scores do not tell, or tell the wrong thing."""
    found = labels.fit(np.array(scores), np.array(rights))
    low, high = found(np.array([0.0, 1.0]))
    assert 0 < low <= high < 1
    if wanted is None:
        assert found(np.array([0.1, 0.9])) == pytest.approx([1 / 3, 2 / 3], abs=1e-4)
    else:
        # Platt's targets draw a little to the middle.
        assert low == high and low == pytest.approx(wanted, abs=0.12)
    assert labels.fit(np.array([]), np.array([], dtype=bool)) is None


def test_auroc_counts_ties_half():
    generator = np.random.default_rng(1)
    scores, rights = generator.integers(0, 6, 60) / 5, generator.random(60) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a in scores[rights] for b in scores[~rights]]
    assert labels.auroc(scores, rights) == pytest.approx(np.mean(pairs))
    assert labels.auroc(scores, np.ones(60, dtype=bool)) is None


def test_a_study_without_labels_has_none(workspace):
    benchmark("dev", [("q1", "en", "x")], [("p", "en", "x")], by_label=False)
    assert report(workspace, benchmarks={"dev": {"source": "beir", "path": "x"}}) == {}


def test_a_second_run_gives_the_same_bytes(study):
    report(study)
    first = Path("metrics/labels.json").read_bytes()
    report(study)
    assert Path("metrics/labels.json").read_bytes() == first


def test_questions_that_no_entry_fits_are_answered_wrongly_or_rejected(study):
    """Their scores 0.95, 0.65 and none, beside 0.9 (right), 0.8, 0.7 and 0.6 (wrong)."""
    beyond = [(f"x{i}", "hi-Latn", "") for i in range(3)]
    benchmark("dev", [*QUERIES, *beyond], ENTRIES)
    ranked = RANKED | {("hi-Latn-en", "x0"): found("a1", top=0.95), ("hi-Latn-en", "x1"): found("c1", top=0.65)}
    for model in ("base", "one"):
        run(model, "dev", ranked)
    told = report(study, labels__precision=0.5)["dev"]
    assert told["tasks"]["hi-Latn-en"] == {
        "queries": 4,
        "labels": 3,
        "out_of_scope": 3,
        "categories": {"card": 1, "pay": 3},
    }
    # Down to 0.9 one answer of two is right; before it none was.
    assert told["models"]["one"]["threshold"] == 0.89999  # a float32 rounded down
    own = told["models"]["one"]["tasks"]["hi-Latn-en"]
    assert own["accuracy@1"] == 0.25 and own["macro"] == round((1 / 2 + 0 + 0) / 3, 5)
    assert own["answered"] == 0.25 and own["accuracy"] == 0.25 and own["precision"] == 0.5
    assert own["rejected"] == round(2 / 3, 5)
    # The right answer is above four of five wrong ones; of the pairs with 0.95 none, with 0.65 three are in order.
    assert own["auroc"] == 0.8 and own["out_of_scope_auroc"] == 3 / 8
    assert all(label for label, *_ in told["models"]["one"]["confusions"])
