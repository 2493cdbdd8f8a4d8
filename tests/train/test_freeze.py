"""train.freeze: what is frozen stays, and a trunk that models share gives the training of the whole model."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from stages.shared import trunk
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_sentence_transformer
from tests.train.preparing import prepared

pytestmark = pytest.mark.slow
LOWER = {"layers": 1, "embeddings": True}
SETTINGS = {"freeze": LOWER, "dropout": 0.0, "learning_rate": 1e-3}
PROMPTS = {"query": "query: ", "document": "passage: "}


@pytest.fixture(params=["xlm-r", "qwen3"])
def base(request, tmp_path):
    pooling = "mean" if request.param == "xlm-r" else "lasttoken"
    folder = save_sentence_transformer(tmp_path / "hub", request.param, prompts=PROMPTS, pooling=pooling)
    return SentenceTransformer(str(folder), device="cpu")


def stored(workspace, folder="models/trained/r"):
    return load_file(str(workspace.path / folder / "model.safetensors"))


def vectors(workspace, folder):
    return SentenceTransformer(str(workspace.path / folder), device="cpu").encode_query([f"w{i} w7" for i in range(9)])


def moved(workspace):
    """The weights that the training has changed."""
    before, after = stored(workspace, "models/base"), stored(workspace)
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_frozen_part_stays_and_the_model_says_so(workspace, training, base):
    prepared(workspace, base, **SETTINGS)
    workspace.run("train", "r")
    assert {name.split(".1.")[0].split(".")[-1] for name in moved(workspace) if ".1." in name} <= {"layer", "layers"}
    assert not [name for name in moved(workspace) if ".0." in name or "embed" in name]
    assert len(moved(workspace)) > 5
    record = json.loads((workspace.path / "models/trained/r/encoder.json").read_text())
    assert record["frozen"] == LOWER


@pytest.mark.parametrize("mini_batch_size", [None, 3])
def test_through_the_trunk_training_is_that_of_the_whole_model(workspace, training, base, monkeypatch, mini_batch_size):
    prepared(workspace, base, mini_batch_size=mini_batch_size, **SETTINGS)
    workspace.run("train", "r")
    cut = vectors(workspace, "models/trained/r")
    monkeypatch.setattr(trunk, "share", lambda model, settings: None)
    workspace.run("train", "r")
    whole, before = vectors(workspace, "models/trained/r"), vectors(workspace, "models/base")
    # Not the weights: a gradient that is nothing but rounding (that of a key's bias) is a step as well for Adam.
    assert np.abs(whole - cut).max() < 0.02 * np.abs(whole - before).max()


def test_a_killed_training_goes_on_through_the_trunk_to_the_same_weights(workspace, training, base, monkeypatch):
    prepared(workspace, base, **SETTINGS, checkpoint_every=2)
    workspace.run("train", "r")
    wanted = stored(workspace)

    def killed(self, args, state, control, **kwargs):
        if state.global_step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training.Progress, "on_step_end", killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.run("train", "r")
    ran, run = [], trunk.Trunk._run
    monkeypatch.setattr(trunk.Trunk, "_run", lambda self, ids: ran.append(len(ids)) or run(self, ids))
    workspace.run("train", "r")
    assert not ran
    for name, value in stored(workspace).items():
        np.testing.assert_array_equal(value, wanted[name])


def test_adapters_are_of_the_layers_that_are_trained(workspace, training, base, monkeypatch):
    lora = {"rank": 2, "alpha": 4, "targets": "all-linear", "dropout": 0.0}
    prepared(workspace, base, **SETTINGS, lora=lora)
    workspace.run("train", "r")
    assert moved(workspace)
    assert all(".1." in name or "pooler" in name for name in moved(workspace))
    monkeypatch.setattr(trunk, "share", lambda model, settings: None)
    with pytest.raises(UserError, match=r"train\.lora trains adapters in all layers"):
        workspace.run("train", "r")


def test_embeddings_alone_are_frozen_without_a_trunk(workspace, training, base, monkeypatch):
    monkeypatch.setattr(trunk, "share", lambda model, settings: pytest.fail("nothing to share"))
    prepared(workspace, base, freeze={"layers": 0, "embeddings": True}, learning_rate=1e-3)
    workspace.run("train", "r")
    assert not [name for name in moved(workspace) if "embed" in name]
    assert [name for name in moved(workspace) if ".0." in name]
