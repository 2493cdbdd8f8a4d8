"""The shared trunk: a cut model gives the vectors of the whole one, and what is kept serves every model above it."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer

from stages.settings.freeze import Freeze
from stages.shared import trunk
from stages.shared.encoder import TransformerEncoder
from stages.shared.errors import UserError
from stages.shared.vectors import keys, states
from tests.fakes.checkpoints import WORDS, save_sentence_transformer, static_model

LOWER = Freeze(layers=1, embeddings=True)
FAMILIES = {"bert": "cls", "xlm-r": "mean", "qwen3": "lasttoken", "mistral": "lasttoken"}


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "STATE", tmp_path)
    return tmp_path


def texts(count=20, seed=0, longest=8):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, longest + 1))) for _ in range(count)]


def loaded(folder):
    return SentenceTransformer(str(folder), device="cpu")


@pytest.fixture
def counted(monkeypatch):
    """The rows that frozen layers have computed, one number a batch."""
    ran, run = [], trunk.Trunk._run
    monkeypatch.setattr(trunk.Trunk, "_run", lambda self, ids, mask: ran.append(len(ids)) or run(self, ids, mask))
    return ran


@pytest.mark.parametrize(("family", "pooling"), FAMILIES.items())
def test_a_cut_model_gives_the_vectors_of_the_whole(tmp_path, family, pooling):
    prompts = {"query": "query: ", "document": "passage: "}
    model = loaded(save_sentence_transformer(tmp_path / "m", family, pooling=pooling, prompts=prompts))
    whole = TransformerEncoder(model, 8)
    wanted = {role: whole.encode(texts(), role) for role in ("query", "passage")}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cut = trunk.share(model, LOWER)
    assert cut is not None
    for role, vectors in wanted.items():
        np.testing.assert_allclose(TransformerEncoder(model, 8, None, cut).encode(texts(), role), vectors, atol=2e-3)
    assert not np.allclose(wanted["query"], wanted["passage"], atol=2e-2)
    again = TransformerEncoder(cut.whole(), 8)
    for role, vectors in wanted.items():
        np.testing.assert_array_equal(again.encode(texts(), role), vectors)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_kept_serves_models_of_one_trunk_and_no_others(tmp_path, counted):
    folder = save_sentence_transformer(tmp_path / "m", "xlm-r")
    first = loaded(folder)
    assert trunk.share(first, LOWER).prepare(texts(), "passage") == len(set(texts()))
    above = loaded(folder)
    with torch.no_grad():
        above[0].model.encoder.layer[1].output.dense.weight.mul_(2)
    counted.clear()
    cut = trunk.share(above, LOWER)
    assert cut.prepare(texts(), "passage") == 0
    vectors = TransformerEncoder(above, 8, None, cut).encode(texts(), "passage")
    assert not counted
    np.testing.assert_allclose(TransformerEncoder(cut.whole(), 8).encode(texts(), "passage"), vectors, atol=2e-3)
    below = loaded(folder)
    with torch.no_grad():
        below[0].model.encoder.layer[0].output.dense.weight[0, 0] += 1
    assert trunk.share(below, LOWER).prepare(texts(), "passage") == len(set(texts()))


def test_a_text_that_is_cut_elsewhere_or_has_another_prompt_is_another(tmp_path):
    prompts = {"query": "query: ", "document": "passage: "}
    model = loaded(save_sentence_transformer(tmp_path / "m", "xlm-r", prompts=prompts))
    cut, long = trunk.share(model, LOWER), ["w1 w2 w3 w4 w5 w6 w7 w8"]
    assert [cut.prepare(long, "passage"), cut.prepare(long, "query"), cut.prepare(long, "passage")] == [1, 1, 0]
    model.max_seq_length = 6
    assert cut.prepare(long, "passage") == 1


def test_states_do_not_tell_what_was_computed_with_them(tmp_path, state, monkeypatch):
    folder, found = save_sentence_transformer(tmp_path / "m", "xlm-r"), []
    # Shorter than they are padded to, as long, and of several widths.
    own = texts(60, longest=40)
    for place, known in (("a", []), ("b", own[::3])):
        monkeypatch.setattr(keys, "STATE", state / place)
        model = loaded(folder)
        cut = trunk.share(model, LOWER)
        cut.prepare(known, "passage")
        found.append(TransformerEncoder(model, 8, None, cut).encode(own, "passage"))
    np.testing.assert_array_equal(*found)


def test_how_wide_a_text_is_padded_does_not_tell_where_training_cuts(tmp_path, state, monkeypatch):
    model, widths, run = loaded(save_sentence_transformer(tmp_path / "m", "xlm-r")), [], trunk.Trunk._run
    monkeypatch.setattr(
        trunk.Trunk, "_run", lambda self, ids, mask: widths.append(ids.shape[1]) or run(self, ids, mask)
    )
    cut = trunk.share(model, LOWER)
    model.max_seq_length = 10
    cut.prepare(texts(), "passage")
    assert set(widths) == {16}


def test_a_damaged_store_is_computed_again(tmp_path, state, counted, caplog):
    folder = save_sentence_transformer(tmp_path / "m", "xlm-r")
    model = loaded(folder)
    cut = trunk.share(model, LOWER)
    wanted = TransformerEncoder(model, 8, None, cut).encode(texts(), "passage")
    files = sorted(state.rglob("*.safetensors"), key=lambda f: f.stat().st_size)
    with files[-1].open("r+b") as opened:
        opened.seek(-10, 2)
        opened.write(b"\xff\x00\xff")
    files[0].write_bytes(b"cut off")
    counted.clear()
    again = loaded(folder)
    np.testing.assert_array_equal(
        TransformerEncoder(again, 8, None, trunk.share(again, LOWER)).encode(texts(), "passage"), wanted
    )
    assert counted
    assert "is damaged" in caplog.text


def test_with_a_full_disk_memory_holds_the_states_of_the_last_texts_alone(tmp_path, state, monkeypatch, caplog):
    model = loaded(save_sentence_transformer(tmp_path / "m", "xlm-r"))
    whole = TransformerEncoder(model, 8).encode(texts(), "passage")
    monkeypatch.setattr(states, "SPARE", 2**80)
    cut = trunk.share(model, LOWER)
    cut.prepare(texts(seed=1), "passage")
    np.testing.assert_allclose(TransformerEncoder(model, 8, None, cut).encode(texts(), "passage"), whole, atol=2e-3)
    assert len(cut._states._new) == len(set(texts()))
    assert not list(state.rglob("*/states/*/*.safetensors"))
    assert "hidden states are not kept" in caplog.text


def test_states_in_eight_bits_take_half_of_the_room_and_are_rounded_once(tmp_path, state):
    folder = save_sentence_transformer(tmp_path / "m", "xlm-r")
    wanted, found, taken = TransformerEncoder(loaded(folder), 8).encode(texts(), "passage"), {}, {}
    for precision in ("half", "int8", "int8"):  # computed, and then read
        model = loaded(folder)
        before = set(state.rglob("states/*/*.safetensors"))
        cut = trunk.share(model, Freeze(layers=1, embeddings=True, precision=precision))
        vectors = TransformerEncoder(model, 8, None, cut).encode(texts(), "passage")
        np.testing.assert_array_equal(found.setdefault(precision, vectors), vectors)
        if new := set(state.rglob("states/*/*.safetensors")) - before:
            taken[precision] = 0
            for file in new:
                with safe_open(file, framework="pt") as opened:
                    kept = [opened.get_tensor(name) for name in ("states", "scales") if name in opened.keys()]  # noqa: SIM118
                taken[precision] += sum(part.nbytes for part in kept)
    size = loaded(folder).get_embedding_dimension()
    assert taken["int8"] == taken["half"] * (size + 4) / (2 * size)
    loss = {precision: 1 - (vectors * wanted).sum(axis=1).min() for precision, vectors in found.items()}
    assert loss["half"] < 1e-5 < loss["int8"] < 1e-3


def test_states_take_no_more_of_the_disk_than_they_may(tmp_path, state, caplog):
    model = loaded(save_sentence_transformer(tmp_path / "m", "xlm-r"))
    whole = TransformerEncoder(model, 8).encode(texts(), "passage")
    cut = trunk.share(model, Freeze(layers=1, embeddings=True, disk=1e-6))
    np.testing.assert_allclose(TransformerEncoder(model, 8, None, cut).encode(texts(), "passage"), whole, atol=2e-3)
    assert "it would take more than train.freeze.disk, 1e-06 GB" in caplog.text


def test_what_was_cut_is_put_together_without_a_trace(tmp_path):
    model = loaded(save_sentence_transformer(tmp_path / "m", "xlm-r"))
    trunk.share(model, LOWER).whole()
    assert not [name for name, part in model.named_modules() if part._forward_hooks or part._forward_pre_hooks]


def test_an_architecture_that_cannot_be_cut_is_left_whole(tmp_path, monkeypatch, caplog):
    model = loaded(save_sentence_transformer(tmp_path / "m", "xlm-r"))
    wanted = model.encode(texts())
    monkeypatch.setattr(trunk._Given, "forward", lambda self, **states: 1 - states["inputs_embeds"])
    assert trunk.share(model, LOWER) is None
    np.testing.assert_array_equal(model.encode(texts()), wanted)
    assert "cannot be run apart" in caplog.text


def test_what_is_frozen_has_no_gradient_and_no_dropout(tmp_path):
    model = loaded(save_sentence_transformer(tmp_path / "m", "bert"))
    trunk.set_dropout(model, 0.1)
    trunk.freeze(model, LOWER)
    inner = model[0].model
    assert {p.requires_grad for p in [*inner.embeddings.parameters(), *inner.encoder.layer[0].parameters()]} == {False}
    assert all(p.requires_grad for p in inner.encoder.layer[1].parameters())
    assert inner.embeddings.dropout.p == inner.encoder.layer[0].output.dropout.p == 0
    assert inner.encoder.layer[1].output.dropout.p == 0.1


def test_layers_that_a_base_lacks_are_refused(tmp_path):
    model = loaded(save_sentence_transformer(tmp_path / "m", "bert"))
    with pytest.raises(UserError, match=r"train\.freeze\.layers is 2, but the base has 2"):
        trunk.freeze(model, Freeze(layers=2, embeddings=True))
    with pytest.raises(UserError, match=r"train\.freeze is of a transformer's layers"):
        trunk.freeze(static_model(), LOWER)
