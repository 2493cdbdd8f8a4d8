"""What tests of training share: rows of words, models to train on them, and a training that is killed."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from stages.shared.contrastive import InfoNCE
from tests.fakes.checkpoints import WORDS, save_sentence_transformer

DECODERS = ["qwen3", "mistral"]
SIDES = ["left", "right"]
TEXTS = ["w1", "w2 w3 w4 w5 w6 w7", "w8 w9 w3"]


def save_families(folder):
    """{family: folder} of an encoder and of two decoders with last-token pooling."""
    pooling = {"xlm-r": "mean", "qwen3": "lasttoken", "mistral": "lasttoken"}
    return {
        family: save_sentence_transformer(folder / family, family, pooling=mode) for family, mode in pooling.items()
    }


def loaded(folder, dtype="float32", side=None):
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"torch_dtype": dtype})
    if side:
        model.tokenizer.padding_side = side
    return model


def texts(seed, count):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(count)]


def columns(model, batch=6, negatives=2):
    return [model.preprocess(texts(seed, batch)) for seed in range(2 + negatives)]


def value_and_gradients(model, loss, features, labels):
    model.zero_grad()
    value = loss(features, labels)
    value.backward()
    return value.item(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_equal_gradients(one, other, tolerance=1e-5):
    assert one.keys() == other.keys()
    largest = max(g.abs().max().item() for g in one.values())
    assert largest > 1e-3
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=tolerance * largest, rtol=1e-4)


def all_different(batch, width):
    return torch.arange(batch * width).reshape(batch, width)


def rows(count=40, seed=5):
    made = [texts(seed + i, count) for i in range(3)]
    return Dataset.from_dict(
        {
            "query": made[0],
            "positive": made[1],
            "negative_1": made[2],
            "label": [[i, count + i] for i in range(count)],
        }
    )


def fitted(training, model, name="x", data=None, **changes):
    settings = {"seed": 3, "steps": 12, "batch_size": 8, "learning_rate": 0.05, "log_every": 2, **changes}
    points = training.fit(model, data or rows(), InfoNCE(model, 0.05), name, **settings)
    return points, {n: p.detach().clone() for n, p in model.named_parameters()}


def equal(one, other):
    return all(torch.equal(one[n], other[n]) for n in one)


class Killed(Exception):
    pass


def kill_at(training, monkeypatch, step):
    """Raise at the end of `step`; return the list that the steps done are added to."""
    before, done = training.Progress.on_step_end, []

    def on_step_end(self, args, state, control, **kwargs):
        before(self, args, state, control, **kwargs)
        done.append(state.global_step)
        if state.global_step == step:
            raise Killed

    monkeypatch.setattr(training.Progress, "on_step_end", on_step_end)
    return done


def goes_on(training, monkeypatch, caplog, run):
    """Check that a training of 8 steps, which `run(name)` begins or takes up, ends as if it had not been killed; return
    its weights."""
    undisturbed = run("undisturbed")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 5)
        run("killed")
    with monkeypatch.context() as patch, caplog.at_level("INFO"):
        done = kill_at(training, patch, None)
        resumed = run("killed")
    assert done == [5, 6, 7, 8]
    assert "going on from checkpoint at step 4" in caplog.text
    assert resumed[0] == undisturbed[0]
    assert equal(resumed[1], undisturbed[1])
    return undisturbed[1]


# Of such a training.
KILLED = {"checkpoint_every": 4, "steps": 8, "batch_size": 4, "learning_rate": 1e-3}


def checkpointed(training, load):
    """Check that gradient checkpointing changes nothing in the training of the model that `load` gives."""
    found = []
    for on in (False, True):
        model = load()
        # The embeddings' gradient, of many rows to one, is summed in an order of its own.
        found.append(fitted(training, model, f"gc{on}", gradient_checkpointing=on, steps=3, learning_rate=1e-3))
        assert model[0].auto_model.is_activation_checkpointing == on
        assert model[0].auto_model.config.use_cache is not True
    assert [loss for _, loss in found[0][0]] == pytest.approx([loss for _, loss in found[1][0]], rel=1e-5)
    for name, value in found[0][1].items():
        torch.testing.assert_close(value, found[1][1][name], atol=1e-5, rtol=1e-4)
