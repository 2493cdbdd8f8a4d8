"""train: what comes out is the base, fine-tuned, in its own precision and with its own prompts."""

import csv

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from stages import train
from stages.shared import tables
from stages.shared.errors import UserError
from tests.conftest import WORDS, save_sentence_transformer, static_model

PROMPTS = {"query": "q: ", "document": "p: "}
SETTINGS = {"steps": 6, "batch_size": 8, "learning_rate": 0.01, "log_every": 2}


def trainset(count=24):
    rng = np.random.default_rng(0)
    texts = sorted({" ".join(rng.choice(WORDS, 5)) for _ in range(3 * count)})
    rows = [
        ("enenen", i, count + i, [2 * count + i, 2 * count + (i + 1) % count], [i, 100 + i, 200 + i])
        for i in range(count)
    ]
    tables.write(pl.DataFrame({"text": texts}), "data/trainsets/r/texts.parquet", tables.TEXTS)
    table = pl.DataFrame(rows, schema=tables.TRAINING_ROWS, orient="row")
    tables.write(table, "data/trainsets/r/rows.parquet", tables.TRAINING_ROWS)
    return texts


def prepared(workspace, model=None, **changes):
    texts = trainset()
    if model is not None:
        model.save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
    workspace.edit(**{f"train__{k}": v for k, v in {**SETTINGS, **changes}.items()})
    return texts


def weights(folder):
    return load_file(str(folder / "model.safetensors"))["embedding.weight"]


def test_rows_are_looked_up_column_by_column(workspace):
    texts = trainset()
    data = train.dataset(workspace.path / "data/trainsets/r")
    assert data.column_names == ["query", "positive", "negative_1", "negative_2", "label"]
    assert data[3] == {
        "query": texts[3],
        "positive": texts[27],
        "negative_1": texts[51],
        "negative_2": texts[52],
        "label": [3, 103, 203],
    }


def test_training_moves_the_base_keeps_its_prompts_and_repeats(workspace, training):
    prepared(workspace, static_model(prompts=PROMPTS))
    out, written = workspace.path / "models/trained/r", []
    for _ in range(2):
        workspace.run("train", "r")
        written.append({str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()})
    assert written[0] == written[1]
    assert not torch.equal(weights(out), weights(workspace.path / "models/base"))
    assert SentenceTransformer(str(out)).prompts == PROMPTS
    curve = list(csv.DictReader((workspace.path / "metrics/training/r.csv").open()))
    assert [row["step"] for row in curve] == ["2", "4", "6"]
    assert all(float(row["loss"]) > 0 for row in curve)
    assert not list(training.STATE.rglob("checkpoint-*"))


def test_a_static_base_is_updated_in_float32_and_stored_as_it_was(workspace, training):
    prepared(workspace, static_model().to(torch.bfloat16), learning_rate=1e-3)
    workspace.edit(base__dtype="bfloat16").run("train", "r")
    stored = weights(workspace.path / "models/trained/r")
    assert stored.dtype == torch.bfloat16
    assert weights(workspace.path / "models/base").dtype == torch.bfloat16
    workspace.edit(base__dtype="float32").run("train", "r")
    full = weights(workspace.path / "models/trained/r")
    assert full.dtype == torch.float32
    assert torch.equal(stored, full.to(torch.bfloat16))
    assert not torch.equal(full, full.to(torch.bfloat16).float())


def test_a_static_base_takes_no_mini_batches_and_no_length(workspace, training):
    prepared(workspace, static_model(), mini_batch_size=4)
    with pytest.raises(UserError, match=r"train\.mini_batch_size cannot split a static base's batches"):
        workspace.run("train", "r")
    prepared(workspace, mini_batch_size=None, max_length=8)
    with pytest.raises(UserError, match=r"train\.max_length"):
        workspace.run("train", "r")


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "st"
    return save_sentence_transformer(folder, "xlm-r", prompts={"query": "query: ", "document": "passage: "})


def test_a_transformer_is_trained_at_a_length_and_saved_with_its_own(workspace, training, transformer):
    model = SentenceTransformer(str(transformer), device="cpu")
    own, found = model.max_seq_length, []
    for length in (3, None):
        prepared(workspace, model, max_length=length, mini_batch_size=4, learning_rate=1e-3, steps=2)
        workspace.run("train", "r")
        trained = SentenceTransformer(str(workspace.path / "models/trained/r"), device="cpu")
        assert trained.max_seq_length == own
        assert trained.prompts == model.prompts
        assert [type(m) for m in trained] == [type(m) for m in model]
        found.append(trained.encode(["w1 w2 w3 w4 w5 w6"])[0])
    assert np.abs(found[0] - found[1]).max() > 1e-6


def test_a_transformer_is_updated_in_float32_and_stored_as_it_was(workspace, training, transformer):
    model = SentenceTransformer(str(transformer), device="cpu").to(torch.bfloat16)
    prepared(workspace, model, learning_rate=1e-4, steps=2)
    found = {}
    for dtype in ("bfloat16", "float32"):
        workspace.edit(base__dtype=dtype).run("train", "r")
        found[dtype] = load_file(str(workspace.path / "models/trained/r/model.safetensors"))
    for name, full in found["float32"].items():
        assert torch.equal(found["bfloat16"][name], full.to(torch.bfloat16))
    full = found["float32"]["encoder.layer.0.attention.self.query.weight"]
    assert not torch.equal(full, full.to(torch.bfloat16).float())


def test_gradient_checkpointing_gives_the_same_weights(workspace, training, transformer):
    found = []
    for on in (False, True):
        model = SentenceTransformer(str(transformer), device="cpu")
        prepared(workspace, model, gradient_checkpointing=on, learning_rate=1e-3, steps=2)
        workspace.run("train", "r")
        trained = SentenceTransformer(str(workspace.path / "models/trained/r"), device="cpu")
        found.append(trained.encode(["w1 w2"])[0])
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_a_training_set_that_is_missing(workspace, training):
    with pytest.raises(UserError, match=r"rows\.parquet is missing|texts\.parquet is missing"):
        workspace.run("train", "nowhere")
