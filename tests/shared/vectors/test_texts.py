"""Vectors of single texts: each is encoded once, alone in its bytes, whatever happens to the file they are kept in."""

import multiprocessing
import sqlite3

import numpy as np
import pytest

from stages.shared import encoder
from stages.shared.vectors import keys, texts
from stages.shared.vectors.texts import TOKENS, KeptTexts
from tests.fakes.checkpoints import WORDS, save_sentence_transformer, static_model

TEXTS = [f"text {i}" for i in range(250)]


class Numbers:
    """An encoder whose vectors say their text, and which knows what it has encoded."""

    def __init__(self):
        self.seen = []

    def encode(self, texts, role):
        self.seen += texts
        return np.array([[len(t), sum(map(ord, t)), len(role)] for t in texts], np.float32).reshape(len(texts), 3)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "STATE", tmp_path)
    monkeypatch.setattr(texts, "COMMITTED", 32)
    return tmp_path / "vectors" / "texts"


def kept(identity=("model",)):
    return KeptTexts(Numbers(), list(identity))


def file_of(state):
    (file,) = state.glob("*.sqlite")
    return file


def test_each_text_is_encoded_once_and_comes_back_in_order():
    first, second = kept(), kept()
    one = first.encode(TEXTS, "passage")
    two = second.encode(TEXTS[::-1], "passage")
    assert first.encoder.seen == TEXTS and second.encoder.seen == []
    assert one.dtype == np.float32 and one[::-1].tobytes() == two.tobytes()
    assert one[:, 1].tolist() == [sum(map(ord, text)) for text in TEXTS]


CHANGES = {
    "added": (lambda t: [*t[:30], "new", *t[30:]], ["new"]),
    "changed": (lambda t: [*t[:30], "new", *t[31:]], ["new"]),
    "removed": (lambda t: t[1:], []),
    "put back": (lambda t: t, []),
}


@pytest.mark.parametrize(("change", "encoded"), CHANGES.values(), ids=CHANGES)
def test_only_what_is_new_is_encoded(change, encoded):
    kept().encode(TEXTS, "passage")
    again = kept()
    found = again.encode(change(TEXTS), "passage")
    assert again.encoder.seen == encoded
    assert found.tobytes() == Numbers().encode(change(TEXTS), "passage").tobytes()


def test_models_and_roles_do_not_share_vectors():
    kept().encode(TEXTS, "passage")
    for other, role in ((kept(["another"]), "passage"), (kept(), "query")):
        found = other.encode(TEXTS, role)
        assert other.encoder.seen == TEXTS
        assert (found[:, 2] == len(role)).all()


def test_a_kill_loses_less_than_a_chunk():
    class Killed(Numbers):
        def encode(self, texts, role):
            if len(self.seen) >= 100:
                raise KeyboardInterrupt
            return super().encode(texts, role)

    first = KeptTexts(Killed(), ["model"])
    with pytest.raises(KeyboardInterrupt):
        first.encode(TEXTS, "passage")
    second = kept()
    second.encode(TEXTS, "passage")
    assert len(first.encoder.seen) == 128
    assert second.encoder.seen == TEXTS[128:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b"no database" * 100,
        lambda b: b[: len(b) // 2],
        lambda b: b[:4096] + bytes(len(b) - 4096),
    ],
    ids=["emptied", "overwritten", "cut off", "zeros"],
)
def test_a_damaged_file_is_encoded_again_and_mended(state, damage, caplog):
    whole = kept().encode(TEXTS, "passage")
    file = file_of(state)
    content = file.read_bytes()
    file.write_bytes(damage(content))
    again, last = kept(), kept()
    assert again.encode(TEXTS, "passage").tobytes() == whole.tobytes()
    assert again.encoder.seen == TEXTS
    assert "is damaged" in caplog.text or not damage(content)
    assert last.encode(TEXTS, "passage").tobytes() == whole.tobytes()
    assert last.encoder.seen == []


def test_a_flipped_bit_costs_its_text(state, caplog):
    whole = kept().encode(TEXTS, "passage")
    with sqlite3.connect(file_of(state)) as db:
        ((key, vector),) = db.execute("SELECT text, vector FROM vectors LIMIT 1")
        db.execute("UPDATE vectors SET vector = ? WHERE text = ?", (bytes([vector[0] ^ 1]) + vector[1:], key))
    again, last = kept(), kept()
    assert again.encode(TEXTS, "passage").tobytes() == whole.tobytes()
    assert len(again.encoder.seen) == 1 and "1 texts are encoded again" in caplog.text
    last.encode(TEXTS, "passage")
    assert last.encoder.seen == []


def test_what_is_no_vector_any_longer_costs_its_text(state):
    """As a flipped bit in the kind of a value, or in a name of the schema, leaves it."""
    whole = kept().encode(TEXTS, "passage")
    with sqlite3.connect(file_of(state)) as db:
        db.execute("UPDATE vectors SET vector = NULL WHERE text = (SELECT min(text) FROM vectors)")
        db.execute("UPDATE vectors SET vector = 'text' WHERE text = (SELECT max(text) FROM vectors)")
    again = kept()
    assert again.encode(TEXTS, "passage").tobytes() == whole.tobytes()
    assert len(again.encoder.seen) == 2
    held = file_of(state).read_bytes()
    file_of(state).write_bytes(held.replace(b"CREATE TABLE vectors", b"CREATE TABL\xc2 vectors"))
    assert kept().encode(TEXTS, "passage").tobytes() == whole.tobytes()


def test_vectors_of_another_length_or_text_are_not_taken(state):
    whole = kept().encode(TEXTS, "passage")
    with sqlite3.connect(file_of(state)) as db:
        rows = db.execute("SELECT text, vector, checksum FROM vectors LIMIT 3").fetchall()
        db.execute("UPDATE vectors SET vector = x'00' WHERE text = ?", (rows[0][0],))
        db.execute("UPDATE vectors SET vector = ?, checksum = ? WHERE text = ?", (*rows[1][1:], rows[2][0]))
    again = kept()
    assert again.encode(TEXTS, "passage").tobytes() == whole.tobytes()
    assert len(again.encoder.seen) == 2


def test_a_place_that_cannot_be_written_is_a_warning(state, caplog):
    state.parent.mkdir()
    state.write_text("no folder")
    assert kept().encode(TEXTS, "passage").tobytes() == Numbers().encode(TEXTS, "passage").tobytes()
    assert "nothing is kept in it" in caplog.text


def _encode(folder, part, queue):
    keys.STATE = folder
    queue.put(kept().encode(part, "passage").tobytes())


def test_processes_at_once_share_a_file(state):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_encode, args=(state.parents[1], TEXTS, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    found = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert found == {Numbers().encode(TEXTS, "passage").tobytes()}
    last = kept()
    last.encode(TEXTS, "passage")
    assert last.encoder.seen == []


def test_no_texts_give_no_vectors(state):
    assert kept().encode([], "passage").shape == (0, 3)
    assert not state.exists()


def lengthy(seed, count=60):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 40))) for _ in range(count)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    static_model().save_pretrained(str(folder / "static"), create_model_card=False)
    prompts = {"query": "query: ", "document": "passage: "}
    save_sentence_transformer(folder / "bert", "bert", prompts=prompts)
    return folder


@pytest.mark.parametrize("name", ["static", "bert"])
def test_bytes_do_not_tell_what_was_encoded_together(models, name, state):
    """Built up bit by bit, in another order, beside other texts: the same vectors as all at once."""
    own, others = lengthy(0), lengthy(1)
    model = encoder.load(models / name, TOKENS)
    for text in own[:5]:
        KeptTexts(model, ["grown"]).encode([text], "passage")
    KeptTexts(model, ["grown"]).encode(own[40:][::-1] + others, "passage")
    grown = KeptTexts(model, ["grown"]).encode(own, "passage")
    anew = KeptTexts(model, ["anew"]).encode(own, "passage")
    assert grown.tobytes() == anew.tobytes()
    np.testing.assert_allclose(anew, model.encode(own, "passage"), atol=1e-5)


def test_batches_of_a_transformer_have_one_shape_for_each_number_of_tokens(models, monkeypatch):
    model = encoder.load(models / "bert", TOKENS)
    shapes = []
    forward = model.model.forward

    def watched(features, **how):
        shapes.append(tuple(features["input_ids"].shape))
        assert features["attention_mask"].all()
        return forward(features, **how)

    monkeypatch.setattr(model.model, "forward", watched)
    KeptTexts(model, ["shapes"]).encode([*lengthy(2, 100), "w1 " * 200], "passage")
    assert len(shapes) > 20
    assert {rows for rows, tokens in shapes} == {TOKENS // tokens for _, tokens in shapes}
    assert all(rows == TOKENS // tokens for rows, tokens in shapes)
