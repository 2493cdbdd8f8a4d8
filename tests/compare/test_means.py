"""What models are worth, as it was measured; the front and the choice."""

import polars as pl
import pytest

from stages.compare import means
from stages.shared import tables
from stages.shared.errors import UserError


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


def told(more):
    """What `score` leaves of a model, `more` than of the base."""

    def row(value):
        return {"ndcg@10": round(value + more, 5), "mrr@10": round(value + more - 0.1, 5)}

    return {
        "dev": {
            **{"en-en": row(0.5), "en-ko": row(0.3), "en-*": row(0.2)},
            **{"mono": row(0.51), "cross": row(0.31), "multi": row(0.21), "language_bias": 3.0 + more},
        },
        "test": {"ko-en": row(0.7), "cross": row(0.71)},
    }


@pytest.fixture
def measured(workspace):
    """Two models, measured on a benchmark of another study too."""
    for model, more in (("base", 0.0), ("a", 0.25)):
        own = told(more)
        tables.write_json(own | {"old": own["test"]}, means.MODEL_METRICS / f"{model}.json")


def test_means_are_those_that_score_measured_by_each_benchmarks_metric(measured):
    found = means.read(["base", "a"], ["dev", "test"])
    metrics = {"dev": "ndcg@10", "test": "mrr@10"}
    assert means.by_model(found, metrics).rows() == [
        ("dev", "base", 0.51, 0.31, 0.21, 3.0),
        ("test", "base", None, 0.61, None, None),
        ("dev", "a", 0.76, 0.56, 0.46, 3.25),
        ("test", "a", None, 0.86, None, None),
    ]
    assert means.by_task(found, metrics).rows() == [
        *(("dev", "base", task, value) for task, value in (("en-en", 0.5), ("en-ko", 0.3), ("en-*", 0.2))),
        ("test", "base", "ko-en", 0.6),
        *(("dev", "a", task, value) for task, value in (("en-en", 0.75), ("en-ko", 0.55), ("en-*", 0.45))),
        ("test", "a", "ko-en", 0.85),
    ]


def test_models_and_benchmarks_that_were_not_measured_are_told(measured):
    with pytest.raises(UserError, match=r"^metrics/models/a\.json says nothing of more: run `dvc repro`$"):
        means.read(["a"], ["dev", "more"])
    with pytest.raises(UserError, match=r"^metrics/models/b\.json says nothing of dev: run `dvc repro`$"):
        means.read(["a", "b"], ["dev"])
