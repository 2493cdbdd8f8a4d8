"""What training is measured on, and that it is measured as the study does."""

import csv

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from stages.schemas.validation import VALIDATION_PASSAGES, VALIDATION_QRELS, VALIDATION_QUERIES
from stages.shared import ranking, scoring, tables
from stages.shared.encoder import TransformerEncoder
from stages.shared.errors import UserError
from stages.shared.windows import WindowedEncoder
from tests.fakes.checkpoints import save_sentence_transformer, static_model
from tests.test_retrieve import benchmark
from tests.train.preparing import prepared

pytestmark = pytest.mark.slow
STOPPING = {"benchmark": "dev", "metric": "ndcg@10", "tasks": ["ko-en", "multi"], "every": 2, "patience": 1}


@pytest.fixture
def study(workspace):
    passages = [(f"p{i}", lang, "", f"w{i} w{(7 * i) % 40}") for i in range(16) for lang in ("en", "ko")]
    queries = [(f"q{i}", lang, f"w{i} w{i + 9}") for i in range(16) for lang in ("en", "ko")]
    benchmark("dev", passages, queries, [(f"q{i}", f"p{i}", lang, 1) for i in range(16) for lang in ("en", "ko")])
    return workspace.edit(train__early_stopping=STOPPING)


def read(name, schema):
    return tables.read(f"data/validation/{name}.parquet", schema)


def test_the_chosen_tasks_are_written_and_nothing_else(study):
    study.edit(train__early_stopping=STOPPING | {"tasks": ["ko-en"]}).run("validation")
    queries, passages = read("queries", VALIDATION_QUERIES), read("passages", VALIDATION_PASSAGES)
    assert set(queries["task"]) == {"ko-en"} and queries.height == 16
    assert set(passages["lang"]) == {"en"} and passages["pooled"].all()
    assert set(read("qrels", VALIDATION_QRELS)["document"]) == {f"p{i}.en" for i in range(16)}
    for tasks, match in ((["ko-fr"], "tasks names 'ko-fr', which dev does not have"), (["multi"], None)):
        study.edit(train__early_stopping=STOPPING | {"tasks": tasks})
        if match:
            with pytest.raises(UserError, match=match):
                study.run("validation")
        else:
            study.run("validation")
            assert set(read("queries", VALIDATION_QUERIES)["task"]) == {"en-*", "ko-*"}
    study.edit(train__early_stopping=None).run("validation")
    assert read("queries", VALIDATION_QUERIES).is_empty() and read("passages", VALIDATION_PASSAGES).is_empty()


@pytest.mark.parametrize("metric", ["ndcg@10", "mrr@10", "recall@5", "accuracy@1", "map@10"])
def test_a_model_is_measured_as_the_study_does(study, metric):
    from stages.train.validation import Validation

    study.run("validation")
    model, dev = static_model(), ranking.benchmark("dev")
    found = Validation(model, metric, None, None)()
    encoder = WindowedEncoder(TransformerEncoder(model, 8), None, "model")
    run, _ = ranking.rank(dev, ranking.by_encoder(encoder, dev), 16)
    values = scoring.per_query(run, dev.queries, dev.qrels, [metric])
    means = dict(values.group_by("task").agg(pl.col("value").mean()).iter_rows())
    assert found == pytest.approx((means["ko-en"] + means["en-*"] + means["ko-*"]) / 3)
    assert 0 < found < 1


@pytest.mark.parametrize("kind", ["static", "frozen"])
def test_a_recipe_keeps_the_weights_that_were_best_on_dev(study, training, tmp_path, kind):
    """Also of a transformer whose lower layers run apart, and which is trained at another length than it is used at."""
    model, settings = static_model(), {"learning_rate": 0.5}
    if kind == "frozen":
        model = SentenceTransformer(str(save_sentence_transformer(tmp_path / "hub", "xlm-r")), device="cpu")
        settings = {"learning_rate": 1e-3, "freeze": {"layers": 1, "embeddings": True}, "max_length": 3}
    prepared(study, model, steps=6, **settings)
    study.run("validation")
    study.run("train", "r")
    told = list(csv.DictReader((study.path / "metrics/training/r.csv").open()))
    values = {int(row["step"]): float(row["validation"]) for row in told}
    (kept,) = (int(row["step"]) for row in told if row["kept"] == "1")
    assert kept == min(step for step, value in values.items() if value == max(values.values()))
    file = study.path / "models/trained/r/model.safetensors"
    stopped = load_file(file)
    study.edit(train__early_stopping=None).run("train", "r")
    whole = load_file(file)
    assert all(torch.equal(stopped[name], whole[name]) for name in whole) == (kept == 6)
    assert (study.path / "metrics/training/r.csv").read_text().startswith("step,loss\n")
