"""rerankers: a cross-encoder made of the base, trained so that a kill changes nothing, and how it is said to be run."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder, SentenceTransformer

from stages.shared import models, query_normalizer, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_record, save_sentence_transformer, static_model
from tests.fakes.damage import damage
from tests.shared.fitting import Killed, kill_at
from tests.train.preparing import prepared

pytestmark = pytest.mark.slow
RERANKER = {"compositions": ["enenen"], "negatives": "window"}
SMALL = {"steps": 4, "learning_rate": 1e-3, "max_length": None, "freeze": None, "lora": None}


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "st"
    return save_sentence_transformer(folder, "xlm-r", prompts={"query": "query: ", "document": "passage: "})


def asked(workspace, folder, train=None, **changes):
    """A study whose re-ranker `r` differs from `train` (in which `changes` are made) by `train`."""
    prepared(workspace, SentenceTransformer(str(folder), device="cpu"), **{**SMALL, **changes})
    return workspace.edit(rerankers={"r": {**RERANKER, "train": train or {}}})


def made(workspace):
    return workspace.path / "models/rerankers/r"


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_two_trainings_give_the_same_bytes_of_a_cross_encoder(workspace, training, transformer):
    asked(workspace, transformer)
    written = []
    for _ in range(2):
        workspace.run("rerankers", "r")
        written.append(contents(made(workspace)))
    assert written[0] == written[1]
    assert {"model.safetensors", "encoder.json", "config_sentence_transformers.json"} <= set(written[0])
    model = CrossEncoder(str(made(workspace)), device="cpu")
    assert model.num_labels == 1 and model.max_seq_length == 60
    scores = model.predict([("w1 w2", "w3"), ("w4", "w5 w6")])
    assert scores.shape == (2,) and scores[0] != scores[1]
    assert json.loads((made(workspace) / "encoder.json").read_text()) == {
        **{"name": "base", "revision": None, "dtype": "float32", "attention": None, "padding": None},
        **{"trust_remote_code": False, "kind": "cross-encoder", "max_length": 60},
    }
    curve = list(csv.DictReader((workspace.path / "metrics/training/r.csv").open()))
    assert [row["step"] for row in curve] == ["2", "4"]
    # At random a pair is as likely relevant as not.
    assert all(0.2 < float(row["loss"]) < 3 for row in curve)
    assert not list(training.STATE.rglob("checkpoint-*"))


def test_a_killed_training_goes_on_to_the_same_bytes(workspace, training, transformer, monkeypatch, caplog):
    asked(workspace, transformer, {"checkpoint_every": 2, "dropout": 0.2})
    workspace.run("rerankers", "r")
    undisturbed = contents(made(workspace))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 3)
        workspace.run("rerankers", "r")
    with monkeypatch.context() as patch, caplog.at_level("INFO"):
        done = kill_at(training, patch, None)
        workspace.run("rerankers", "r")
    assert done == [3, 4]
    assert "going on from checkpoint at step 2" in caplog.text
    assert contents(made(workspace)) == undisturbed


def test_relevant_pairs_learn_to_score_higher(workspace, training, transformer):
    asked(workspace, transformer, {"steps": 60, "learning_rate": 2e-3, "log_every": 10})
    workspace.run("rerankers", "r")
    losses = [float(row["loss"]) for row in csv.DictReader((workspace.path / "metrics/training/r.csv").open())]
    assert losses[-1] < 0.6 * losses[0]
    from stages.shared import training_rows

    rows = training_rows.dataset(workspace.path / "data/trainsets/r")
    model = CrossEncoder(str(made(workspace)), device="cpu")
    positive, negative = (
        model.predict(list(zip(rows["query"], rows[column], strict=True))) for column in ("positive", "negative_1")
    )
    assert np.mean(positive) > np.mean(negative) + 0.3


def test_the_seed_and_what_differs_change_the_weights(workspace, training, transformer):
    found = []
    for seed, train in ((1, {}), (2, {}), (1, {"steps": 3}), (1, {"max_length": 8}), (1, {"dropout": 0.5})):
        asked(workspace, transformer, train).edit(seed=seed).run("rerankers", "r")
        found.append((made(workspace) / "model.safetensors").read_bytes())
    assert len(set(found)) == 5
    # What differs in training alone leaves the model its own length.
    assert CrossEncoder(str(made(workspace)), device="cpu").max_seq_length == 60


def test_frozen_layers_stay_as_they_were_and_the_record_says_so(workspace, training, transformer):
    asked(workspace, transformer, freeze={"layers": 1, "embeddings": True}).run("rerankers", "r")
    base, trained = (load_file(str(f / "model.safetensors")) for f in (workspace.path / "models/base", made(workspace)))
    same = {
        name: torch.equal(value, trained[f"roberta.{name}"]) for name, value in base.items() if "pooler" not in name
    }
    assert all(kept == name.startswith(("embeddings.", "encoder.layer.0.")) for name, kept in same.items())
    record = json.loads((made(workspace) / "encoder.json").read_text())
    assert record["frozen"] == {"layers": 1, "embeddings": True}


@pytest.mark.parametrize("family", ["bert", "qwen3", "mistral"])
def test_other_architectures_are_trained_too(workspace, training, tmp_path, family):
    pooling = "cls" if family == "bert" else "lasttoken"
    folder = save_sentence_transformer(tmp_path / "st", family, pooling=pooling, max_length=30)
    asked(workspace, folder, {"steps": 2}).edit(train__log_every=1).run("rerankers", "r")
    model = CrossEncoder(str(made(workspace)), device="cpu")
    together = model.predict([("w1", "w2"), ("w1 w2 w3", "w4 w5 w6 w7")])
    assert together[0] == pytest.approx(model.predict([("w1", "w2")])[0], abs=1e-5)


def test_a_base_s_normalizer_reads_the_queries_and_is_handed_on(workspace, training, transformer):
    asked(workspace, transformer)
    learnt = query_normalizer.learn({"elongation": True, "script": False, "spelling": False}, [], [])
    tables.write_json(learnt, workspace.path / "models/base" / models.NORMALIZER)
    workspace.run("rerankers", "r")
    assert query_normalizer.read(made(workspace))(["soooo"]) == query_normalizer.Normalizer(learnt)(["soooo"])


def test_weights_are_stored_as_the_base_s_record_says(workspace, training, transformer):
    asked(workspace, transformer)
    save_record("models/base", dtype="bfloat16")
    workspace.run("rerankers", "r")
    assert {value.dtype for value in load_file(str(made(workspace) / "model.safetensors")).values()} == {torch.bfloat16}


def test_a_static_base_is_refused(workspace, training):
    prepared(workspace, static_model())
    workspace.edit(rerankers={"r": RERANKER})
    with pytest.raises(UserError, match=r"rerankers\.r reads a query and a passage together, which a static base"):
        workspace.run("rerankers", "r")


def test_a_base_that_is_cut_off_is_named(workspace, training, transformer):
    asked(workspace, transformer)
    damage(workspace.path / "models/base/model.safetensors", "cut")
    with pytest.raises(UserError, match=r"models/base/model\.safetensors is damaged or cut off: run `dvc repro`"):
        workspace.run("rerankers", "r")


@pytest.mark.parametrize(
    ("changes", "train", "said"),
    [
        ({"learning_rate": 0.01}, {}, r"^train\.learning_rate is 0\.01, which suits a static base"),
        ({}, {"learning_rate": 0.02}, r"^rerankers\.r\.train\.learning_rate is 0\.02, which suits a static base"),
        ({}, {"steps": 1}, r"params\.yaml: rerankers\.r\.train: log_every is 2, but there are only 1 steps"),
        ({}, {"temperature": 0.1}, r"unknown key rerankers\.r\.train\.temperature"),
        (
            {"lora": {"rank": 4, "alpha": 8.0, "targets": "all-linear", "dropout": 0.0}},
            {},
            r"rerankers\.r cannot be trained with train\.lora: write `lora: null` under rerankers\.r\.train",
        ),
    ],
)
def test_what_means_nothing_to_it_is_refused(workspace, training, transformer, changes, train, said):
    asked(workspace, transformer, train, **changes)
    with pytest.raises(UserError, match=said):
        workspace.run("rerankers", "r")


def test_hybrid_batches_are_drawn_from_their_compositions(workspace, training, transformer, monkeypatch):
    given = []
    monkeypatch.setattr(training, "fit", lambda *a, pools, **k: given.append(pools) or [(1, 0.0)])
    pools = [(0.5, ["enenen"]), (0.5, ["koenen"])]
    prepared(workspace, SentenceTransformer(str(transformer), device="cpu"), ("enenen", "koenen"), pools, **SMALL)
    workspace.edit(rerankers={"r": RERANKER}).run("rerankers", "r")
    assert [(share, rows.tolist()) for share, rows in given[0]] == [(0.5, list(range(12))), (0.5, list(range(12, 24)))]
    workspace.edit(rerankers={"r": {**RERANKER, "train": {"batch_size": 13}}})
    with pytest.raises(UserError, match=r"rerankers\.r\.batches draws some of enenen alone"):
        workspace.run("rerankers", "r")
