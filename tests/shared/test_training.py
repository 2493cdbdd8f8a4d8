"""The loss, against other computations of it; and training that repeats and resumes to the byte."""

import json
import math
import pickle

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.nn import functional as F

from stages.settings.train import Lora
from stages.shared.errors import UserError
from tests.fakes.checkpoints import WORDS, save_sentence_transformer, static_model


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


@pytest.mark.parametrize(("symmetric", "in_batch"), [(False, True), (True, True), (False, False)])
@pytest.mark.parametrize("size", [1, 4, 6])
def test_mini_batches_change_neither_value_nor_gradients(training, transformer, symmetric, in_batch, size):
    model = SentenceTransformer(str(transformer), device="cpu")
    groups = all_different(6, 3)
    groups[3, 0], groups[4, 2] = groups[1, 0], groups[0, 0]
    whole, cached = (
        value_and_gradients(
            model, training.InfoNCE(model, 0.1, symmetric, in_batch, mini_batch_size=n), columns(model), groups
        )
        for n in (None, size)
    )
    assert cached[0] == pytest.approx(whole[0], rel=1e-5)
    assert_equal_gradients(whole[1], cached[1])


def by_hand(embedded, groups, temperature, symmetric=False, in_batch=True):
    """The loss with loops and exponentials, straight from its definition."""
    unit = [F.normalize(c.double(), dim=-1) for c in embedded]
    batch, total = len(unit[0]), 0.0
    documents = [(c[j], groups[j][i]) for i, c in enumerate(unit[1:]) for j in range(batch)]
    places = [(i, j) for i in range(len(unit) - 1) for j in range(batch)]
    for row in range(batch):
        kept = [
            torch.exp(unit[0][row] @ vector / temperature)
            for (vector, group), place in zip(documents, places, strict=True)
            if place == (0, row) or (group != groups[row][0] and (in_batch or place[1] == row))
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


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_with_clashes_it_is_the_formula(training, seed, symmetric, in_batch):
    generator = torch.Generator().manual_seed(seed)
    embedded = [torch.randn(7, 5, generator=generator) for _ in range(4)]
    groups = torch.randint(6, (7, 3), generator=generator)
    loss = training.InfoNCE(static_model(), 0.3, symmetric, in_batch)
    wanted = by_hand(embedded, groups.tolist(), 0.3, symmetric, in_batch)
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_without_the_batch_s_negatives_a_query_has_its_own_alone(training):
    """Two queries at right angles to their positive and first negative, and at 120 degrees to the second: the loss of
    each is log(1 + e^0 + e^-1/2), whatever the other's texts."""
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    embedded = [query, query.roll(1, 0) * 2, query.roll(1, 0) * 3, -query + torch.tensor([[0, 3**0.5], [3**0.5, 0]])]
    loss = training.InfoNCE(static_model(), 1.0, in_batch=False)
    wanted = math.log(1 + math.exp(0) + math.exp(-0.5))
    assert loss.from_embeddings(embedded, all_different(2, 3)).item() == pytest.approx(wanted, rel=1e-6)
    alone = loss.from_embeddings([column[:1] for column in embedded], all_different(1, 3))
    assert alone.item() == pytest.approx(wanted, rel=1e-6)
    # A negative of the positive's own group is none, though it be the query's own.
    groups = torch.tensor([[0, 1, 0], [3, 4, 3]])
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(math.log(2), rel=1e-6)
    whole = training.InfoNCE(static_model(), 1.0).from_embeddings(embedded, all_different(2, 3)).item()
    assert whole > wanted + 0.5


def test_without_the_batch_s_negatives_a_batch_is_the_mean_of_its_rows(training):
    generator = torch.Generator().manual_seed(3)
    embedded = [torch.randn(9, 5, generator=generator) for _ in range(5)]
    groups = torch.randint(4, (9, 4), generator=generator)
    loss = training.InfoNCE(static_model(), 0.1, in_batch=False)
    rows = [loss.from_embeddings([c[i : i + 1] for c in embedded], groups[i : i + 1]).item() for i in range(9)]
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(np.mean(rows), rel=1e-5)


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


@pytest.mark.parametrize("kind", ["static", "transformer", "adapters"])
def test_a_killed_training_goes_on_to_the_same_weights(training, transformer, checkpoints, monkeypatch, caplog, kind):
    def run(name, dropout=0.2):
        if kind == "static":
            return fitted(training, static_model(), name, **changes)
        if kind == "transformer":
            model = with_dropout(transformer) if dropout else SentenceTransformer(str(transformer), device="cpu")
        else:
            model = loaded(checkpoints["qwen3"], "bfloat16")
            training.adapt(model, lora(dropout=dropout), 1)
        return fitted(training, model, name, **changes)

    changes = {"checkpoint_every": 4, "steps": 8, "batch_size": 4, "learning_rate": 1e-3}
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
    if kind != "static":
        # The dropout was at work, or the random state would not have been tested.
        assert not equal(undisturbed[1], run("dry", dropout=0.0)[1])


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


# ── Decoders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Folders of an encoder and of two decoders with last-token pooling."""
    folder = tmp_path_factory.mktemp("models")
    pooling = {"xlm-r": "mean", "qwen3": "lasttoken", "mistral": "lasttoken"}
    return {
        family: save_sentence_transformer(folder / family, family, pooling=mode) for family, mode in pooling.items()
    }


def loaded(folder, dtype="float32", side=None):
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"torch_dtype": dtype})
    if side:
        model.tokenizer.padding_side = side
    return model


DECODERS = ["qwen3", "mistral"]
SIDES = ["left", "right"]
TEXTS = ["w1", "w2 w3 w4 w5 w6 w7", "w8 w9 w3"]


@pytest.mark.parametrize("family", DECODERS)
def test_a_text_has_one_vector_however_padded_in_training_and_after(checkpoints, family):
    found = []
    for side in SIDES:
        model = loaded(checkpoints[family], side=side)
        found.append(model.encode(TEXTS))
        found.append(np.concatenate([model.encode([text]) for text in TEXTS]))
        features = model.preprocess(TEXTS)
        assert (features["attention_mask"] == 0).any()
        found.append(model.train()(features)["sentence_embedding"].detach().numpy())
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=1e-6)
    assert np.abs(found[0][0] - found[0][1]).max() > 0.01


def test_a_text_cut_to_length_keeps_the_token_that_is_pooled(checkpoints):
    model = loaded(checkpoints["qwen3"])
    (end,) = model.tokenizer.encode("")
    for length in (60, 4):
        model.max_seq_length = length
        ids = model.preprocess([" ".join(WORDS[:9])])["input_ids"][0].tolist()
        assert len(ids) == min(10, length)
        assert ids[-1] == end
        assert end not in ids[:-1]


def test_a_saved_model_pads_on_the_side_that_was_set_and_cuts_nothing(training, checkpoints, tmp_path):
    for side in SIDES:
        model = loaded(checkpoints["qwen3"], side=side)
        model.max_seq_length = 4
        model.encode(TEXTS)
        training.save(model, tmp_path / side)
        assert loaded(tmp_path / side).tokenizer.padding_side == side
        written = json.loads((tmp_path / side / "tokenizer.json").read_text())
        assert (written["truncation"], written["padding"]) == (None, None)


# ── LoRA ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lora(targets="all-linear", dropout=0.0):
    return Lora(rank=4, alpha=8.0, targets=targets, dropout=dropout)


ADAPTED = {"steps": 6, "batch_size": 6, "learning_rate": 0.02}


@pytest.mark.parametrize("family", ["xlm-r", *DECODERS])
def test_only_adapters_are_trained_and_they_fold_into_the_weights(training, checkpoints, family, tmp_path):
    model = loaded(checkpoints[family])
    names = list(model.state_dict())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = model.encode(TEXTS)
    adapted = training.adapt(model, lora(), 1)
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
    training.fold(adapted)
    np.testing.assert_allclose(model.encode(TEXTS), vectors, atol=2e-6)
    assert list(model.state_dict()) == names
    training.save(model, tmp_path / "saved")
    np.testing.assert_allclose(loaded(tmp_path / "saved").encode(TEXTS), vectors, atol=2e-6)
    plain = {f.name for f in checkpoints[family].iterdir()} - {"README.md"}
    assert {f.name for f in (tmp_path / "saved").iterdir()} == plain
    # The tokenizer's special tokens among it: parts of a merge must agree on them.
    assert (tmp_path / "saved/config.json").read_bytes() == (checkpoints[family] / "config.json").read_bytes()


def test_frozen_weights_keep_their_type_and_adapters_are_summed_in_float32(training, checkpoints):
    model = loaded(checkpoints["qwen3"], "bfloat16")
    adapted = training.adapt(model, lora(), 1)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}
    fitted(training, model, **ADAPTED)
    layer = model[0].auto_model.layers[0].self_attn.q_proj
    delta = layer.lora_B["default"].weight @ layer.lora_A["default"].weight * 2
    wanted = (layer.base_layer.weight.float() + delta).to(torch.bfloat16)
    twice = layer.base_layer.weight + delta.to(torch.bfloat16)
    training.fold(adapted)
    found = model[0].auto_model.layers[0].self_attn.q_proj.weight
    assert torch.equal(found, wanted)
    assert not torch.equal(found, twice)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_adapters_begin_as_the_seed_says_and_where_the_targets_are(training, checkpoints):
    def adapters(seed, targets):
        model = loaded(checkpoints["qwen3"])
        training.adapt(model, lora(targets), seed)
        return {name: p for name, p in model.named_parameters() if p.requires_grad}

    first, again, other = (adapters(seed, ["q_proj", "self_attn.v_proj"]) for seed in (1, 1, 2))
    assert {name.split(".")[-4] for name in first} == {"q_proj", "v_proj"}
    assert len(first) == 2 * 2 * 2
    assert equal(first, again)
    assert not equal(first, other)
    assert len(adapters(1, "all-linear")) == 2 * 7 * 2


def test_targets_that_are_not_there_are_told_those_that_are(training, checkpoints):
    with pytest.raises(UserError) as caught:
        training.adapt(loaded(checkpoints["qwen3"]), lora(["q_proj", "query"]), 1)
    assert str(caught.value) == (
        "train.lora.targets names 'query', which the base does not have: choose from down_proj, gate_proj, k_proj, "
        "o_proj, q_proj, up_proj, v_proj, or write all-linear"
    )
    with pytest.raises(UserError, match=r"train\.lora .* a static base has none: write null"):
        training.adapt(static_model(), lora(), 1)


def test_a_dense_module_behind_the_transformer_is_frozen_too(training, tmp_path):
    model = loaded(save_sentence_transformer(tmp_path / "m", dense=8))
    training.adapt(model, lora(), 1)
    assert not any(p.requires_grad for p in model[2].parameters())


@pytest.mark.parametrize("adapters", [False, True])
@pytest.mark.parametrize("family", ["xlm-r", "qwen3"])
def test_gradient_checkpointing_changes_nothing(training, checkpoints, family, adapters):
    found = []
    for on in (False, True):
        model = loaded(checkpoints[family])
        if adapters:
            training.adapt(model, lora(dropout=0.2), 1)
        # The embeddings' gradient, of many rows to one, is summed in an order of its own.
        found.append(fitted(training, model, f"gc{on}", gradient_checkpointing=on, steps=3, learning_rate=1e-3))
        assert model[0].auto_model.is_activation_checkpointing == on
        assert model[0].auto_model.config.use_cache is not True
    assert [loss for _, loss in found[0][0]] == pytest.approx([loss for _, loss in found[1][0]], rel=1e-5)
    for name, value in found[0][1].items():
        torch.testing.assert_close(value, found[1][1][name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("family", DECODERS)
def test_mini_batches_change_nothing_for_adapted_decoders(training, checkpoints, family, side):
    model = loaded(checkpoints[family], side=side)
    training.adapt(model, lora(dropout=0.0), 1)
    fitted(training, model, f"{family}{side}", **ADAPTED)
    whole, cached = (
        value_and_gradients(model, training.InfoNCE(model, 0.1, mini_batch_size=n), columns(model), all_different(6, 3))
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
        training.adapt(model, lora(), 1)
        fitted(training, model, "killed", **changes)
    (folder,) = (training.STATE / "training" / "killed").glob("checkpoint-*")
    assert {f.name for f in folder.glob("*.safetensors")} == {"trained.safetensors"}
    assert load_file(folder / "trained.safetensors").keys() == {
        n for n, p in model.named_parameters() if p.requires_grad
    }
    assert not (folder / "training_args.bin").exists()
    torch.save({"state": Trap(), "param_groups": []}, folder / "optimizer.pt")
    model = loaded(checkpoints["qwen3"])
    training.adapt(model, lora(), 1)
    with pytest.raises(pickle.UnpicklingError):
        fitted(training, model, "killed", **changes)
    assert not sprung


sprung = []


class Trap:
    def __reduce__(self):
        return sprung.append, (1,)


# ── Hybrid batches ────────────────────────────────────────────────────────────────────────────────────────────────────


POOLS = [(0.125, np.arange(0, 9)), (0.125, np.arange(9, 20)), (0.75, np.arange(20, 41))]


def batches(training, pools=POOLS, steps=4000, size=4, seed=1):
    return training.PooledBatches(range(41), pools=pools, steps=steps, batch_size=size, drop_last=True, seed=seed)


def test_batches_are_of_one_pool_each_by_its_share_and_full(training):
    drawn = list(batches(training))
    assert len(drawn) == len(batches(training)) == 4000
    kinds = [[number for number, (_, rows) in enumerate(POOLS) if set(batch) <= set(rows.tolist())] for batch in drawn]
    assert {len(kind) for kind in kinds} == {1}
    assert {(len(batch), len(set(batch))) for batch in drawn} == {(4, 4)}
    counts = [kinds.count([number]) for number in range(3)]
    # Of 4,000 draws, within three standard deviations.
    assert counts == pytest.approx([500, 500, 3000], abs=3 * (4000 * 0.125 * 0.875) ** 0.5)
    # Drawn, not dealt in turn.
    assert kinds[:8] != kinds[8:16]


def test_every_row_of_a_pool_comes_before_any_comes_again(training):
    orders = []
    for _, rows in POOLS:
        drawn = [row for batch in batches(training) if batch[0] in rows for row in batch]
        passes = [drawn[i : i + len(rows)] for i in range(0, len(drawn) - len(rows), len(rows))]
        assert len(passes) > 50
        assert all(sorted(one) == rows.tolist() for one in passes)
        assert len({tuple(one) for one in passes}) == len(passes)
        orders.append(passes[0])
    assert orders[0] != sorted(orders[0])


def test_batches_depend_on_the_seed_and_on_nothing_else(training):
    first = list(batches(training, steps=50))
    assert first == list(batches(training, steps=50)) == list(batches(training, steps=80))[:50]
    other = list(batches(training, steps=50, seed=2))
    assert [batch[0] < 20 for batch in first] != [batch[0] < 20 for batch in other]
    assert sorted(first[0]) not in [sorted(batch) for batch in other[:2]]
    every = batches(training)
    assert list(every) == list(every)


def test_a_pool_with_all_the_batches_leaves_the_others_none(training):
    drawn = list(batches(training, [(1.0, np.arange(5, 10))], steps=20))
    assert {row for batch in drawn for row in batch} == {5, 6, 7, 8, 9}


def test_a_training_with_pools_goes_on_in_the_midst_of_them(training, monkeypatch):
    seen = []
    loss = training.InfoNCE.forward
    monkeypatch.setattr(
        training.InfoNCE,
        "forward",
        lambda self, features, labels: seen.append(labels[:, 0].tolist()) or loss(self, features, labels),
    )
    pools = [(0.5, np.arange(0, 15)), (0.5, np.arange(15, 40))]
    undisturbed = fitted(training, static_model(), "undisturbed", pools=pools)
    wanted = list(batches(training, pools, steps=12, size=8, seed=3))
    assert seen == wanted
    seen.clear()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(training, patch, 7)
        fitted(training, static_model(), "killed", pools=pools, checkpoint_every=5)
    seen.clear()
    resumed = fitted(training, static_model(), "killed", pools=pools, checkpoint_every=5)
    assert seen == wanted[5:]
    assert equal(resumed[1], undisturbed[1])


# ── Precision ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bf16_is_autocast_without_a_gpu_and_weights_stay_float32(training, checkpoints):
    found = {}
    for precision in ("fp32", "bf16"):
        model = loaded(checkpoints["qwen3"])
        found[precision] = fitted(training, model, precision, precision=precision, steps=4, learning_rate=1e-3)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert [loss for _, loss in found["bf16"][0]] == pytest.approx([loss for _, loss in found["fp32"][0]], rel=0.05)
    assert not equal(found["fp32"][1], found["bf16"][1])


def test_fp16_without_a_gpu_is_refused(training, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"train\.precision is fp16, which needs a CUDA GPU: write bf16 or fp32"):
        fitted(training, static_model(), precision="fp16")
