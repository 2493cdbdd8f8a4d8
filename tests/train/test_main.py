"""train: what comes out is the base, fine-tuned, in its own precision and with its own prompts."""

import csv
import json

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from stages.schemas.trainsets import TEACHER_SCORES, TRAINING_TEXTS
from stages.shared import models, query_normalizer, tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_record, save_sentence_transformer, static_model
from tests.train.preparing import prepared, weights

pytestmark = pytest.mark.slow

PROMPTS = {"query": "q: ", "document": "p: "}


LEARNT = query_normalizer.learn({"elongation": True, "script": False, "spelling": False}, [], [])


def test_a_base_with_a_normalizer_trains_on_normalized_queries_and_hands_it_on(workspace, training):
    texts, found = prepared(workspace, static_model()), []
    base, out = workspace.path / "models/base", workspace.path / "models/trained/r"
    for drawn_out, with_one in ((True, True), (False, False), (True, False)):
        queries = [f"{t} {'pppp' if drawn_out else 'p'}: w1" if i < 24 else t for i, t in enumerate(texts)]
        tables.write(pl.DataFrame({"text": queries}), "data/trainsets/r/texts.parquet", TRAINING_TEXTS)
        if with_one:
            tables.write_json(LEARNT, base / models.NORMALIZER)
        workspace.run("train", "r")
        assert (out / models.NORMALIZER).is_file() == with_one
        if with_one:
            assert (out / models.NORMALIZER).read_bytes() == (base / models.NORMALIZER).read_bytes()
            (base / models.NORMALIZER).unlink()
        found.append(weights(out))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


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


def test_the_batch_s_negatives_are_left_out_if_asked(workspace, training):
    found = {}
    for in_batch in (True, False):
        prepared(workspace, static_model(), in_batch=in_batch)
        workspace.run("train", "r")
        found[in_batch] = weights(workspace.path / "models/trained/r")
        losses = list(csv.DictReader((workspace.path / "metrics/training/r.csv").open()))
        found[in_batch, "loss"] = float(losses[0]["loss"])
    assert not torch.equal(found[True], found[False])
    # The positive is one of 3 texts, not of 24.
    assert found[False, "loss"] < found[True, "loss"]


def test_each_part_of_the_loss_changes_what_is_learnt(workspace, training):
    found = []
    settings = {
        "symmetric": True,
        "guided": 0.05,
        "hardness": {"mode": "all_negatives", "strength": 5.0},
        "distillation": {"kind": "kl", "weight": 0.5, "temperature": 0.05},
    }
    for name in (None, *settings):
        prepared(workspace, static_model(), **({name: settings[name]} if name else {}))
        scores = pl.DataFrame({"scores": [[0.9, 0.1, row / 24] for row in range(24)]}, TEACHER_SCORES)
        tables.write(scores, "data/trainsets/r/scores.parquet", TEACHER_SCORES)
        workspace.run("train", "r")
        found.append(weights(workspace.path / "models/trained/r"))
        workspace.edit(train__symmetric=False, **{f"train__{name}": None for name in settings if name != "symmetric"})
    assert all(not torch.equal(found[0], other) for other in found[1:])


def test_a_static_base_is_updated_in_float32_and_stored_as_it_was(workspace, training):
    prepared(workspace, static_model().to(torch.bfloat16), learning_rate=1e-3)
    save_record("models/base", dtype="bfloat16")
    workspace.run("train", "r")
    stored = weights(workspace.path / "models/trained/r")
    assert stored.dtype == torch.bfloat16
    assert weights(workspace.path / "models/base").dtype == torch.bfloat16
    save_record("models/base", dtype="float32")
    workspace.run("train", "r")
    full = weights(workspace.path / "models/trained/r")
    assert full.dtype == torch.float32
    assert torch.equal(stored, full.to(torch.bfloat16))
    assert not torch.equal(full, full.to(torch.bfloat16).float())


def test_a_static_base_takes_no_mini_batches_and_no_length(workspace, training):
    for key in ("mini_batch_size", "mini_batch_tokens"):
        prepared(workspace, static_model(), **{key: 4})
        with pytest.raises(UserError, match=rf"train\.{key} cannot split a static base's batches"):
            workspace.run("train", "r")
        prepared(workspace, **{key: None})
    prepared(workspace, max_length=8)
    with pytest.raises(UserError, match=r"train\.max_length"):
        workspace.run("train", "r")


def test_a_model_says_to_which_sizes_its_vectors_may_be_cut(workspace, training):
    prepared(workspace, static_model(), matryoshka=[2, 4])
    workspace.run("train", "r")
    assert models.record(workspace.path / "models/trained/r")["matryoshka"] == [8, 4, 2]
    workspace.edit(train__matryoshka=[8])
    with pytest.raises(UserError, match=r"train\.matryoshka names 8, but the base's vectors have 8 dimensions"):
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
        save_record("models/base", dtype=dtype)
        workspace.run("train", "r")
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


def test_a_recipe_may_be_trained_otherwise(workspace, training, monkeypatch):
    prepared(workspace, static_model())
    workspace.edit(recipes__r__train={"steps": 3, "log_every": 1, "learning_rate": 0.5})
    given = []
    monkeypatch.setattr(training, "fit", lambda *a, **k: given.append(k) or [(1, 0.0)])
    workspace.run("train", "r")
    assert (given[0]["steps"], given[0]["batch_size"], given[0]["learning_rate"]) == (3, 8, 0.5)


def test_a_training_set_that_is_missing(workspace, training):
    save_record("models/base")
    workspace.edit(recipes__nowhere={"compositions": ["enenen"], "negatives": "window"})
    with pytest.raises(UserError, match=r"rows\.parquet is missing|texts\.parquet is missing"):
        workspace.run("train", "nowhere")


def test_hybrid_batches_train(workspace, training):
    written = []
    for pools in ([(1.0, ["enenen"])], [(0.5, ["enenen"]), (0.5, ["koenen"])], []):
        prepared(workspace, static_model(), ("enenen", "koenen"), pools)
        workspace.run("train", "r")
        written.append(weights(workspace.path / "models/trained/r"))
    assert not torch.equal(written[0], written[1])
    assert not torch.equal(written[1], written[2])


# ── LoRA and decoders ─────────────────────────────────────────────────────────────────────────────────────────────────


LORA = {"rank": 4, "alpha": 8.0, "targets": "all-linear", "dropout": 0.0}


def files(folder):
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    folder = save_sentence_transformer(
        tmp_path_factory.mktemp("model") / "st",
        "qwen3",
        prompts={"query": "Instruct: w1 Query:", "document": ""},
        pooling="lasttoken",
        max_length=30,
    )
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "padding_side": "left"}))
    return folder


def on_its_own(folder, **settings):
    return SentenceTransformer(str(folder), device="cpu", **settings)


def test_adapters_end_up_in_a_plain_model_with_all_that_the_base_had(workspace, training, decoder):
    prepared(workspace, on_its_own(decoder), lora=LORA)
    base, out = workspace.path / "models/base", workspace.path / "models/trained/r"
    written = []
    for checkpointing in (False, True):
        workspace.edit(train__gradient_checkpointing=checkpointing).run("train", "r")
        written.append(load_file(str(out / "model.safetensors")))
    for name, value in written[0].items():
        torch.testing.assert_close(value, written[1][name], atol=1e-5, rtol=1e-4)
    before = load_file(str(base / "model.safetensors"))
    assert written[0].keys() == before.keys()
    changed = {name.split(".")[-2] for name in before if not torch.equal(before[name], written[0][name])}
    assert changed == {f"{kind}_proj" for kind in ("q", "k", "v", "o", "gate", "up", "down")}
    assert files(out) == files(base)
    for name in files(out) - {"model.safetensors"}:
        assert (out / name).read_bytes() == (base / name).read_bytes(), name
    trained = on_its_own(out)
    assert trained.prompts == {"query": "Instruct: w1 Query:", "document": ""}
    assert trained.tokenizer.padding_side == "left"
    assert trained.max_seq_length == 30
    assert trained[1].pooling_mode == "lasttoken"


def test_adapters_of_a_half_precision_base_leave_it_in_half_precision(workspace, training, decoder, monkeypatch):
    types = []
    fit = training.fit
    monkeypatch.setattr(
        training,
        "fit",
        lambda model, *a, **k: (
            types.extend({(p.dtype, p.requires_grad) for p in model.parameters()}) or fit(model, *a, **k)
        ),
    )
    prepared(workspace, on_its_own(decoder).to(torch.bfloat16), lora={**LORA, "targets": ["q_proj"]}, precision="bf16")
    save_record("models/base", dtype="bfloat16", attention="eager")
    workspace.run("train", "r")
    before, after = (
        load_file(str(workspace.path / folder / "model.safetensors")) for folder in ("models/base", "models/trained/r")
    )
    assert set(types) == {(torch.bfloat16, False), (torch.float32, True)}
    assert {value.dtype for value in after.values()} == {torch.bfloat16}
    changed = {name.split(".")[-2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"q_proj"}


def test_attention_is_as_the_bases_record_says(workspace, training, decoder, monkeypatch):
    used = []
    fit = training.fit
    monkeypatch.setattr(
        training, "fit", lambda model, *a, **k: used.append(model[0].config._attn_implementation) or fit(model, *a, **k)
    )
    for attention in ("eager", None):
        prepared(workspace, on_its_own(decoder), steps=2, lora=LORA)
        save_record("models/base", attention=attention)
        workspace.run("train", "r")
    assert used == ["eager", "sdpa"]


def test_a_base_in_shards_is_trained(workspace, training, decoder):
    base = workspace.path / "models/base"
    prepared(workspace, on_its_own(decoder), steps=2, lora=LORA)
    workspace.run("train", "r")
    whole = load_file(str(workspace.path / "models/trained/r/model.safetensors"))
    on_its_own(decoder)[0].auto_model.save_pretrained(str(base), max_shard_size="20KB")
    (base / "model.safetensors").unlink()
    assert len(list(base.glob("model-*-of-*.safetensors"))) > 2
    workspace.run("train", "r")
    again = load_file(str(workspace.path / "models/trained/r/model.safetensors"))
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_a_static_base_takes_no_adapters(workspace, training):
    prepared(workspace, static_model(), lora=LORA)
    with pytest.raises(UserError, match=r"train\.lora .* a static base has none"):
        workspace.run("train", "r")


def test_without_a_base_there_is_one_sentence(workspace, training):
    prepared(workspace)
    with pytest.raises(UserError, match=r"^models/base/encoder\.json is missing: run `dvc repro`$"):
        workspace.run("train", "r")


def test_a_transformer_is_not_trained_with_a_static_bases_rate(workspace, training, decoder):
    prepared(workspace, on_its_own(decoder), learning_rate=0.003)
    with pytest.raises(
        UserError, match=r"train\.learning_rate is 0\.003, which suits a static base, .* which is 2e-05"
    ):
        workspace.run("train", "r")


@pytest.mark.parametrize(("lora", "rate"), [(None, 2e-5), (LORA, 1e-4)])
def test_no_rate_is_the_one_of_the_kind_of_base(workspace, training, decoder, monkeypatch, lora, rate):
    taken = []
    monkeypatch.setattr(training, "fit", lambda *a, **k: taken.append(k["learning_rate"]) or [(1, 0.0)])
    prepared(workspace, on_its_own(decoder), learning_rate=None, lora=lora)
    workspace.run("train", "r")
    prepared(workspace, static_model(), learning_rate=None, lora=None)
    workspace.run("train", "r")
    assert taken == [rate, 0.003]
