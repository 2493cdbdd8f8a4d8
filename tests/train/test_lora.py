"""Adapters: they alone are trained, and they fold into a plain model."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stages.settings.train import Lora
from stages.shared import saving, seals
from stages.shared.contrastive import InfoNCE
from stages.shared.errors import UserError
from stages.train.lora import adapt, fold
from tests.fakes.checkpoints import save_sentence_transformer, static_model
from tests.shared.fitting import (
    DECODERS,
    KILLED,
    SIDES,
    TEXTS,
    Killed,
    all_different,
    assert_equal_gradients,
    checkpointed,
    columns,
    equal,
    fitted,
    goes_on,
    kill_at,
    loaded,
    save_families,
    value_and_gradients,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return save_families(tmp_path_factory.mktemp("models"))


def lora(targets="all-linear", dropout=0.0):
    return Lora(rank=4, alpha=8.0, targets=targets, dropout=dropout)


ADAPTED = {"steps": 12, "batch_size": 12, "learning_rate": 0.01}


@pytest.mark.parametrize("family", ["xlm-r", *DECODERS])
def test_only_adapters_are_trained_and_they_fold_into_the_weights(training, checkpoints, family, tmp_path):
    model = loaded(checkpoints[family])
    names = list(model.state_dict())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = model.encode(TEXTS)
    adapted = adapt(model, lora(), 1)
    np.testing.assert_allclose(model.encode(TEXTS), first, atol=1e-6)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(".lora_" in name for name in trained)
    points, _ = fitted(training, model, **ADAPTED)
    assert points[-1][1] < points[0][1]
    frozen = {name.replace(".base_layer", ""): p for name, p in model.named_parameters() if name not in trained}
    assert frozen.keys() == {name for name, _ in loaded(checkpoints[family]).named_parameters()}
    assert all(torch.equal(p, before[name]) for name, p in frozen.items())
    vectors = model.encode(TEXTS)
    assert np.abs(vectors - first).max() > 0.01
    fold(adapted)
    np.testing.assert_allclose(model.encode(TEXTS), vectors, atol=2e-6)
    assert list(model.state_dict()) == names
    saving.save(model, tmp_path / "saved")
    np.testing.assert_allclose(loaded(tmp_path / "saved").encode(TEXTS), vectors, atol=2e-6)
    plain = {f.name for f in checkpoints[family].iterdir()} - {"README.md"}
    assert {f.name for f in (tmp_path / "saved").iterdir()} == plain
    # The tokenizer's special tokens among it: parts of a merge must agree on them.
    assert (tmp_path / "saved/config.json").read_bytes() == (checkpoints[family] / "config.json").read_bytes()


def test_frozen_weights_keep_their_type_and_adapters_are_summed_in_float32(training, checkpoints):
    model = loaded(checkpoints["qwen3"], "bfloat16")
    adapted = adapt(model, lora(), 1)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}
    fitted(training, model, **ADAPTED)
    layer = model[0].auto_model.layers[0].self_attn.q_proj
    delta = layer.lora_B["default"].weight @ layer.lora_A["default"].weight * 2
    wanted = (layer.base_layer.weight.float() + delta).to(torch.bfloat16)
    twice = layer.base_layer.weight + delta.to(torch.bfloat16)
    fold(adapted)
    found = model[0].auto_model.layers[0].self_attn.q_proj.weight
    assert torch.equal(found, wanted)
    assert not torch.equal(found, twice)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_adapters_begin_as_the_seed_says_and_where_the_targets_are(training, checkpoints):
    def adapters(seed, targets):
        model = loaded(checkpoints["qwen3"])
        adapt(model, lora(targets), seed)
        return {name: p for name, p in model.named_parameters() if p.requires_grad}

    first, again, other = (adapters(seed, ["q_proj", "self_attn.v_proj"]) for seed in (1, 1, 2))
    assert {name.split(".")[-4] for name in first} == {"q_proj", "v_proj"}
    assert len(first) == 2 * 2 * 2
    assert equal(first, again)
    assert not equal(first, other)
    assert len(adapters(1, "all-linear")) == 2 * 7 * 2


def test_targets_that_are_not_there_are_told_those_that_are(training, checkpoints):
    with pytest.raises(UserError) as caught:
        adapt(loaded(checkpoints["qwen3"]), lora(["q_proj", "query"]), 1)
    assert str(caught.value) == (
        "train.lora.targets names 'query', which the base does not have: choose from down_proj, gate_proj, k_proj, "
        "o_proj, q_proj, up_proj, v_proj, or write all-linear"
    )
    with pytest.raises(UserError, match=r"train\.lora .* a static base has none: write null"):
        adapt(static_model(), lora(), 1)


def test_a_dense_module_behind_the_transformer_is_frozen_too(training, tmp_path):
    model = loaded(save_sentence_transformer(tmp_path / "m", dense=8))
    adapt(model, lora(), 1)
    assert not any(p.requires_grad for p in model[2].parameters())


@pytest.mark.parametrize("family", ["xlm-r", "qwen3"])
def test_gradient_checkpointing_changes_nothing(training, checkpoints, family):
    def load():
        model = loaded(checkpoints[family])
        adapt(model, lora(dropout=0.2), 1)
        return model

    checkpointed(training, load)


def test_a_killed_training_goes_on_to_the_same_weights(training, checkpoints, monkeypatch, caplog):
    def run(name, dropout=0.2):
        model = loaded(checkpoints["qwen3"], "bfloat16")
        adapt(model, lora(dropout=dropout), 1)
        return fitted(training, model, name, **KILLED)

    undisturbed = goes_on(training, monkeypatch, caplog, run)
    # The dropout was at work, or the random state would not have been tested.
    assert not equal(undisturbed, run("dry", dropout=0.0)[1])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("family", DECODERS)
def test_mini_batches_change_nothing_for_adapted_decoders(training, checkpoints, family, side):
    model = loaded(checkpoints[family], side=side)
    adapt(model, lora(dropout=0.0), 1)
    fitted(training, model, f"{family}{side}", **ADAPTED)
    whole, cached = (
        value_and_gradients(model, InfoNCE(model, 0.1, mini_batch_size=n), columns(model), all_different(6, 3))
        for n in (None, 4)
    )
    assert cached[0] == pytest.approx(whole[0], rel=1e-5)
    assert all(".lora_" in name for name in whole[1])
    assert_equal_gradients(whole[1], cached[1])


def test_a_checkpoint_of_adapters_holds_them_alone_and_unpickles_nothing(training, checkpoints, monkeypatch):
    changes = ADAPTED | {"checkpoint_every": 4}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 5)
        model = loaded(checkpoints["qwen3"])
        adapt(model, lora(), 1)
        fitted(training, model, "killed", **changes)
    (folder,) = (training.STATE / "training" / "killed").glob("checkpoint-*")
    assert {f.name for f in folder.glob("*.safetensors")} == {"trained.safetensors"}
    assert load_file(folder / "trained.safetensors").keys() == {
        n for n, p in model.named_parameters() if p.requires_grad
    }
    assert not (folder / "training_args.bin").exists()
    torch.save({"state": Trap(), "param_groups": []}, folder / "optimizer.pt")
    seals.seal(folder)  # or it would be taken for damaged, and not be read
    model = loaded(checkpoints["qwen3"])
    adapt(model, lora(), 1)
    with pytest.raises(pickle.UnpicklingError):
        fitted(training, model, "killed", **changes)
    assert not sprung


sprung = []


class Trap:
    def __reduce__(self):
        return sprung.append, (1,)
