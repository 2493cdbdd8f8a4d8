"""What models are worth, as it was measured."""

import pytest

from stages.compare import scored
from stages.schemas.scores import MODEL_METRICS
from stages.shared import tables
from stages.shared.errors import UserError


def told(more):
    """What `score` leaves of a model, `more` than of the base."""

    def row(value):
        return {"ndcg@10": round(value + more, 5), "mrr@10": round(value + more - 0.1, 5)}

    return {
        "dev": {
            **{"en-en": row(0.5), "en-ko": row(0.3), "en-*": row(0.2)},
            **{"mono": row(0.51), "cross": row(0.31), "multi": row(0.21), "language_bias": 3.0 + more},
            "language_bias_median": 2.0 + more,
        },
        "test": {"ko-en": row(0.7), "cross": row(0.71)},
    }


@pytest.fixture
def measured(workspace):
    """Two models, measured on a benchmark of another study too."""
    for model, more in (("base", 0.0), ("a", 0.25)):
        own = told(more)
        tables.write_json(own | {"old": own["test"]}, MODEL_METRICS / f"{model}.json")


def test_means_are_those_that_score_measured_by_each_benchmarks_metric(measured):
    found = scored.read(["base", "a"], ["dev", "test"])
    metrics = {"dev": "ndcg@10", "test": "mrr@10"}
    assert scored.by_model(found, metrics).rows() == [
        ("dev", "base", 0.51, 0.31, 0.21, 3.0, 2.0),
        ("test", "base", None, 0.61, None, None, None),
        ("dev", "a", 0.76, 0.56, 0.46, 3.25, 2.25),
        ("test", "a", None, 0.86, None, None, None),
    ]
    assert scored.by_task(found, metrics).rows() == [
        *(("dev", "base", task, value) for task, value in (("en-en", 0.5), ("en-ko", 0.3), ("en-*", 0.2))),
        ("test", "base", "ko-en", 0.6),
        *(("dev", "a", task, value) for task, value in (("en-en", 0.75), ("en-ko", 0.55), ("en-*", 0.45))),
        ("test", "a", "ko-en", 0.85),
    ]


def test_models_and_benchmarks_that_were_not_measured_are_told(measured):
    with pytest.raises(UserError, match=r"^metrics/models/a\.json says nothing of more: run `dvc repro`$"):
        scored.read(["a"], ["dev", "more"])
    with pytest.raises(UserError, match=r"^metrics/models/b\.json says nothing of dev: run `dvc repro`$"):
        scored.read(["a", "b"], ["dev"])
