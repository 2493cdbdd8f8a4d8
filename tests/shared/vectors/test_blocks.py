"""Kept vectors: the same bytes with and without them, and nothing encoded twice."""

import multiprocessing
import shutil
import tracemalloc
import zipfile

import numpy as np
import pytest

from stages.shared.vectors import blocks, keys
from stages.shared.vectors.blocks import KeptBlocks

PROMPTS = {"query": "q: ", "passage": ""}
TEXTS = [f"text {i}" for i in range(600)]


class Numbers:
    """Vectors from the text, the role and, in their last bits, the place in the batch, as padding makes them."""

    def __init__(self):
        self.seen = []

    def encode(self, texts, role):
        self.seen.append(list(texts))
        rows = [[len(role), sum(map(ord, text)), i * 1e-3] for i, text in enumerate(texts)]
        return np.array(rows, np.float32).reshape(len(texts), 3)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "STATE", tmp_path)
    monkeypatch.setattr(blocks, "MEAN", 32)
    monkeypatch.setattr(blocks, "MOST", 100)
    return tmp_path / "vectors" / "blocks"


def kept(identity=("model",), prompts=PROMPTS):
    return KeptBlocks(Numbers, list(identity), prompts)


def encoded(by):
    return [text for block in by.encoder.seen for text in block]


def test_blocks_are_the_texts_in_order_and_none_is_large():
    found = list(blocks.cut(TEXTS))
    assert [text for block in found for text in block] == TEXTS
    assert max(map(len, found)) <= 100
    assert len(found) > 600 / 100 + 3
    assert list(blocks.cut([])) == []


def test_texts_that_never_end_a_block_are_cut(monkeypatch):
    monkeypatch.setattr(blocks, "MEAN", 2**60)
    assert [len(block) for block in blocks.cut(TEXTS[:250])] == [100, 100, 50]


def test_what_is_kept_is_the_same_bytes_and_encoded_once():
    first, second = kept(), kept()
    one = first.encode(TEXTS, "passage")
    two = second.encode(TEXTS, "passage")
    assert one.dtype == np.float32 and one.tobytes() == two.tobytes()
    assert encoded(first) == TEXTS and encoded(second) == []
    assert one[:, 1].tolist() == [sum(map(ord, text)) for text in TEXTS]
    assert first.counts == {"encoded": 600, "kept": 0} and second.counts == {"encoded": 0, "kept": 600}


def test_what_is_kept_is_read_without_a_model():
    whole = kept().encode(TEXTS, "passage")

    def load():
        raise AssertionError("the model was loaded")

    assert KeptBlocks(load, ["model"], PROMPTS).encode(TEXTS, "passage").tobytes() == whole.tobytes()


def test_equal_texts_are_encoded_once_and_given_back_in_place():
    several = [*TEXTS[:200], *TEXTS[50:300], *TEXTS[:10]]
    once, twice = kept(), kept(("another",))
    vectors = dict(zip(TEXTS[:300], once.encode(TEXTS[:300], "passage"), strict=True))
    found = twice.encode(several, "passage")
    assert encoded(twice) == TEXTS[:300] and twice.counts["encoded"] == 300
    assert found.tobytes() == np.stack([vectors[text] for text in several]).tobytes()


@pytest.mark.parametrize("repeated", [0, 500])
def test_memory_holds_the_result_and_a_block(repeated):
    class Wide(Numbers):
        def encode(self, texts, role):
            return np.ones((len(texts), 4096), np.float32)

    some = [f"text {i}" for i in range(2000)]
    some += some[:repeated]
    size = len(some) * 4096 * 4
    for _ in range(2):
        tracemalloc.start()
        KeptBlocks(Wide, ["wide"]).encode(some, "passage")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size < peak < size + 4 * 100 * 4096 * 4


CHANGES = {
    "added": lambda t: [*t[:300], "new", *t[300:]],
    "exchanged": lambda t: [*t[:300], "new", *t[301:]],
    "removed": lambda t: t[1:],
    "last": lambda t: [*t, "new"],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_text_that_comes_or_goes_costs_its_block_and_changes_no_bytes(change, state):
    kept().encode(TEXTS, "passage")
    partly = kept()
    found = partly.encode(change(TEXTS), "passage")
    assert 0 < len(encoded(partly)) <= 300
    for file in state.rglob("*.npz"):
        file.unlink()
    assert kept().encode(change(TEXTS), "passage").tobytes() == found.tobytes()


def test_roles_prompts_and_models_do_not_share_vectors():
    kept().encode(TEXTS, "query")
    for other, role in (
        (kept(), "passage"),
        (kept(("another",)), "query"),
        (kept(prompts=PROMPTS | {"query": "Q: "}), "query"),
    ):
        other.encode(TEXTS, role)
        assert encoded(other) == TEXTS
    same = kept(prompts=PROMPTS | {"passage": "P: "})
    same.encode(TEXTS, "query")
    assert encoded(same) == []


def test_roles_do_not_share_vectors_though_their_prompts_are_equal():
    kept(prompts=None).encode(TEXTS, "query")
    other = kept(prompts=None)
    other.encode(TEXTS, "passage")
    assert encoded(other) == TEXTS


def test_a_kill_loses_the_block_it_hits_and_no_other():
    class Killed(Numbers):
        def encode(self, texts, role):
            if len(self.seen) == 4:
                raise KeyboardInterrupt
            return super().encode(texts, role)

    first = KeptBlocks(Killed, ["model"], PROMPTS)
    with pytest.raises(KeyboardInterrupt):
        first.encode(TEXTS, "query")
    second = kept()
    second.encode(TEXTS, "query")
    assert encoded(first) + encoded(second) == TEXTS


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"PK" + b[2:-9]])
def test_a_damaged_block_is_encoded_again(state, damage, caplog):
    whole = kept().encode(TEXTS, "query")
    file = max(state.rglob("*.npz"), key=lambda f: f.stat().st_size)
    file.write_bytes(damage(file.read_bytes()))
    again = kept()
    assert again.encode(TEXTS, "query").tobytes() == whole.tobytes()
    assert 0 < len(encoded(again)) <= 100
    assert "is damaged" in caplog.text
    last = kept()
    last.encode(TEXTS, "query")
    assert encoded(last) == []


def test_a_flipped_bit_is_seen(state):
    whole = kept().encode(TEXTS, "query")
    file = max(state.rglob("*.npz"), key=lambda f: f.stat().st_size)
    held = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        info = archive.infolist()[0]
    held[info.header_offset + 30 + len(info.filename) + info.file_size - 40] ^= 1
    file.write_bytes(held)
    assert kept().encode(TEXTS, "query").tobytes() == whole.tobytes()


def test_no_bit_of_what_says_how_a_block_is_read_leads_to_an_error(state, monkeypatch):
    whole = kept().encode(TEXTS[:5], "query")
    (file,) = state.rglob("*.npz")
    held = file.read_bytes()
    for bit in range(8 * (len(held) - 90), 8 * len(held)):
        bad = bytearray(held)
        bad[bit // 8] ^= 1 << bit % 8
        file.write_bytes(bad)
        found = blocks._read(file, 5)
        assert found is None or found.tobytes() == whole.tobytes()


def test_a_block_of_another_shape_is_encoded_again(state):
    whole = kept().encode(TEXTS, "query")
    file = next(state.rglob("*.npz"))
    rows = len(np.load(file)["vectors"])
    for shape, dtype in (((rows + 1, 3), "f4"), ((rows,), "f4"), ((rows, 3), "f8")):
        np.savez(file, vectors=np.zeros(shape, dtype))
        assert kept().encode(TEXTS, "query").tobytes() == whole.tobytes()


def test_nothing_half_written_is_left(state, monkeypatch):
    def cut_off(opened, vectors):
        opened.write(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", cut_off)
    with pytest.raises(KeyboardInterrupt):
        kept().encode(TEXTS, "query")
    assert not [file for file in state.rglob("*") if file.is_file()]


def _encode(folder, queue):
    keys.STATE = folder
    queue.put(kept().encode(TEXTS, "query").tobytes())


def test_experiments_at_once_agree(state):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_encode, args=(state.parents[1], queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    found = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert found == {kept().encode(TEXTS, "query").tobytes()}
    assert not list(state.rglob("*.lock"))


def test_a_place_that_cannot_be_written_is_a_warning(state, caplog):
    whole = kept().encode(TEXTS, "query")
    shutil.rmtree(state)
    state.write_text("no folder")
    assert kept().encode(TEXTS, "query").tobytes() == whole.tobytes()
    assert caplog.text.count("vectors are not kept") == 1


def test_no_texts_give_no_vectors(state):
    assert kept().encode([], "query").shape == (0, 3)
    assert not list(state.rglob("*"))
