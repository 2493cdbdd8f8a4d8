"""The loss, against other computations of it; and training that repeats and resumes to the byte."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.nn import functional as F

from stages.shared.errors import UserError
from tests.conftest import WORDS, save_sentence_transformer, static_model


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    """The folder of a tiny transformer without dropout, mean pooling."""
    return save_sentence_transformer(tmp_path_factory.mktemp("model") / "st", pooling="mean")


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


def test_without_clashes_it_is_multiple_negatives_ranking(training, transformer):
    model = SentenceTransformer(str(transformer), device="cpu")
    ours = training.InfoNCE(model, temperature=0.05)
    theirs = MultipleNegativesRankingLoss(model, scale=20)
    value, gradients = value_and_gradients(model, ours, columns(model), all_different(6, 3))
    wanted, wanted_gradients = value_and_gradients(model, theirs, columns(model), None)
    assert value == pytest.approx(wanted, rel=1e-5)
    assert value > 0.1
    assert_equal_gradients(gradients, wanted_gradients)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("size", [1, 4, 6])
def test_mini_batches_change_neither_value_nor_gradients(training, transformer, symmetric, size):
    model = SentenceTransformer(str(transformer), device="cpu")
    groups = all_different(6, 3)
    groups[3, 0], groups[4, 2] = groups[1, 0], groups[0, 0]
    whole, cached = (
        value_and_gradients(model, training.InfoNCE(model, 0.1, symmetric, mini_batch_size=n), columns(model), groups)
        for n in (None, size)
    )
    assert cached[0] == pytest.approx(whole[0], rel=1e-5)
    assert_equal_gradients(whole[1], cached[1])


def by_hand(embedded, groups, temperature, symmetric=False):
    """The loss with loops and exponentials, straight from its definition."""
    unit = [F.normalize(c.double(), dim=-1) for c in embedded]
    batch, total = len(unit[0]), 0.0
    documents = [(c[j], groups[j][i]) for i, c in enumerate(unit[1:]) for j in range(batch)]
    places = [(i, j) for i in range(len(unit) - 1) for j in range(batch)]
    for row in range(batch):
        kept = [
            torch.exp(unit[0][row] @ vector / temperature)
            for (vector, group), place in zip(documents, places, strict=True)
            if place == (0, row) or group != groups[row][0]
        ]
        own = torch.exp(unit[0][row] @ unit[1][row] / temperature)
        total = total - torch.log(own / sum(kept))
    if not symmetric:
        return total / batch
    back = 0.0
    for row in range(batch):
        kept = [
            torch.exp(unit[1][row] @ unit[0][q] / temperature)
            for q in range(batch)
            if q == row or groups[q][0] != groups[row][0]
        ]
        back = back - torch.log(torch.exp(unit[1][row] @ unit[0][row] / temperature) / sum(kept))
    return (total + back) / (2 * batch)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_with_clashes_it_is_the_formula(training, seed, symmetric):
    generator = torch.Generator().manual_seed(seed)
    embedded = [torch.randn(7, 5, generator=generator) for _ in range(4)]
    groups = torch.randint(6, (7, 3), generator=generator)
    loss = training.InfoNCE(static_model(), 0.3, symmetric)
    wanted = by_hand(embedded, groups.tolist(), 0.3, symmetric)
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_text_of_the_querys_own_group_has_no_influence(training):
    loss = training.InfoNCE(static_model(), 0.1)
    embedded = [torch.randn(3, 5, generator=torch.Generator().manual_seed(s)) for s in range(3)]
    # Rows 0 and 1 are one passage in two languages, and the negative of row 2 is that passage too.
    groups = torch.tensor([[8, 1], [8, 2], [9, 8]])
    query = embedded[0].requires_grad_()

    def reached(column, row):
        """The queries whose gradient moves with a document."""
        (before,) = torch.autograd.grad(loss.from_embeddings(embedded, groups), query)
        moved = [c.detach().clone() for c in embedded]
        moved[column][row] *= -1
        moved[0] = query
        (after,) = torch.autograd.grad(loss.from_embeddings(moved, groups), query)
        return [i for i in range(3) if not torch.equal(before[i], after[i])]

    assert [reached(1, row) for row in range(3)] == [[0, 2], [1, 2], [0, 1, 2]]
    assert [reached(2, row) for row in range(3)] == [[0, 1, 2], [0, 1, 2], [2]]


def test_a_batch_of_one_group_teaches_nothing(training):
    embedded = [torch.randn(4, 5, requires_grad=True) for _ in range(3)]
    value = training.InfoNCE(static_model(), 0.1, symmetric=True).from_embeddings(
        embedded, torch.zeros(4, 2, dtype=torch.long)
    )
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert all(c.grad.abs().max() < 1e-6 for c in embedded)


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
    points = training.fit(model, data or rows(), training.InfoNCE(model, 0.05), name, **settings)
    return points, {n: p.detach().clone() for n, p in model.named_parameters()}


def equal(one, other):
    return all(torch.equal(one[n], other[n]) for n in one)


def test_two_runs_give_the_same_bytes(training, tmp_path):
    written = []
    for name in ("one", "other"):
        model = static_model()
        points, _ = fitted(training, model, name)
        training.save(model, tmp_path / name)
        written.append((points, {f.name: f.read_bytes() for f in (tmp_path / name).rglob("*") if f.is_file()}))
    assert written[0] == written[1]
    assert [step for step, _ in written[0][0]] == [2, 4, 6, 8, 10, 12]
    assert written[0][0][-1][1] < written[0][0][0][1]


def test_another_seed_draws_other_batches(training):
    assert not equal(*(fitted(training, static_model(), f"s{s}", seed=s)[1] for s in (1, 2)))


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


def with_dropout(folder):
    """A transformer with dropout, so that resuming must restore the random state too."""
    model = SentenceTransformer(str(folder), device="cpu")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.2
    return model


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_a_killed_training_goes_on_to_the_same_weights(training, transformer, monkeypatch, caplog, kind):
    make = static_model if kind == "static" else lambda: with_dropout(transformer)
    changes = {"checkpoint_every": 4, "steps": 8, "batch_size": 4, "learning_rate": 1e-3}
    undisturbed = fitted(training, make(), "undisturbed", **changes)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 5)
        fitted(training, make(), "killed", **changes)
    with monkeypatch.context() as patch, caplog.at_level("INFO"):
        done = kill_at(training, patch, None)
        resumed = fitted(training, make(), "killed", **changes)
    assert done == [5, 6, 7, 8]
    assert "going on from checkpoint at step 4" in caplog.text
    assert resumed[0] == undisturbed[0]
    assert equal(resumed[1], undisturbed[1])
    if kind == "transformer":
        # The dropout was at work, or the random state would not have been tested.
        assert not equal(undisturbed[1], fitted(training, SentenceTransformer(str(transformer)), "dry", **changes)[1])


def test_a_checkpoint_cut_off_while_written_is_passed_over(training, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 6)
        fitted(training, static_model(), "killed", checkpoint_every=4)
    (training.STATE / "training" / "killed" / "checkpoint-6").mkdir()
    assert equal(fitted(training, static_model(), "killed", checkpoint_every=4)[1], fitted(training, static_model())[1])


def test_forgetting_removes_the_checkpoints(training):
    fitted(training, static_model(), "gone", checkpoint_every=4)
    assert (training.STATE / "training" / "gone").is_dir()
    training.forget("gone")
    assert not (training.STATE / "training" / "gone").exists()
    training.forget("gone")


def test_prompts_stand_before_the_texts_while_training(training):
    prompted = fitted(training, static_model(prompts={"query": "q: ", "document": "p: "}), "prompted")
    data = rows()
    written = {"query": "q: ", "positive": "p: ", "negative_1": "p: "}
    by_hand = data.map(lambda row: {name: prompt + row[name] for name, prompt in written.items()})
    assert equal(prompted[1], fitted(training, static_model(), "by hand", by_hand)[1])
    assert not equal(prompted[1], fitted(training, static_model(), "plain")[1])


def test_a_loss_that_is_no_number_is_told(training):
    with pytest.raises(UserError, match=r"lower train\.learning_rate"):
        fitted(training, static_model(), learning_rate=1e38, warmup=0.0)


def test_fewer_rows_than_a_batch_still_train(training):
    points, _ = fitted(training, static_model(), data=rows(5))
    assert len(points) == 6
    assert all(math.isfinite(value) for _, value in points)


def test_a_fingerprint_changes_with_settings_and_content(training, tmp_path):
    folder = tmp_path / "f"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a").write_text("1")
    (folder / "b").write_text("2")
    seen = [training.fingerprint("train", {"lr": 1}, folder)]
    assert training.fingerprint("train", {"lr": 1}, folder) == seen[0]
    seen.append(training.fingerprint("train", {"lr": 2}, folder))
    seen.append(training.fingerprint("base", {"lr": 1}, folder))
    (folder / "b").write_text("3")
    seen.append(training.fingerprint("train", {"lr": 1}, folder))
    (folder / "b").rename(folder / "c")
    seen.append(training.fingerprint("train", {"lr": 1}, folder))
    seen.append(training.fingerprint("train", {"lr": 1}, folder / "c"))
    assert len(set(seen)) == len(seen)
    folder.rename(tmp_path / "elsewhere")
    assert training.fingerprint("train", {"lr": 1}, tmp_path / "elsewhere") == seen[4]
