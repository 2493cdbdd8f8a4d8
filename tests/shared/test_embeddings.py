"""Kept vectors: the same bytes with and without them, and nothing encoded twice."""

import multiprocessing
import zipfile

import numpy as np
import pytest

from stages.shared import embeddings, files

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
    monkeypatch.setattr(embeddings, "STATE", tmp_path)
    monkeypatch.setattr(embeddings, "MEAN", 32)
    monkeypatch.setattr(embeddings, "MOST", 100)
    return tmp_path / "embeddings"


def kept(identity=("model",), prompts=PROMPTS):
    return embeddings.Kept(Numbers(), list(identity), prompts)


def encoded(by):
    return [text for block in by.encoder.seen for text in block]


def test_blocks_are_the_texts_in_order_and_none_is_large():
    found = list(embeddings.blocks(TEXTS))
    assert [text for block in found for text in block] == TEXTS
    assert max(map(len, found)) <= 100
    assert len(found) > 600 / 100 + 3
    assert list(embeddings.blocks([])) == []


def test_texts_that_never_end_a_block_are_cut(monkeypatch):
    monkeypatch.setattr(embeddings, "MEAN", 2**60)
    assert [len(block) for block in embeddings.blocks(TEXTS[:250])] == [100, 100, 50]


def test_what_is_kept_is_the_same_bytes_and_encoded_once():
    first, second = kept(), kept()
    one = first.encode(TEXTS, "passage")
    two = second.encode(TEXTS, "passage")
    assert one.dtype == np.float32 and one.tobytes() == two.tobytes()
    assert encoded(first) == TEXTS and encoded(second) == []
    assert one[:, 1].tolist() == [sum(map(ord, text)) for text in TEXTS]


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


def test_a_kill_loses_the_block_it_hits_and_no_other():
    class Killed(Numbers):
        def encode(self, texts, role):
            if len(self.seen) == 4:
                raise KeyboardInterrupt
            return super().encode(texts, role)

    first = embeddings.Kept(Killed(), ["model"], PROMPTS)
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


def _encode(state, queue):
    embeddings.STATE = state
    queue.put(kept().encode(TEXTS, "query").tobytes())


def test_experiments_at_once_agree(state):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_encode, args=(state.parent, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    found = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert found == {kept().encode(TEXTS, "query").tobytes()}
    assert not list(state.rglob("*.draft"))


def test_no_texts_give_no_vectors(state):
    assert kept().encode([], "query").shape == (0, 3)
    assert not list(state.rglob("*"))


def test_a_folder_is_known_by_its_content(tmp_path):
    digests = set()
    for name, content in (("a", "1"), ("a", "2"), ("b", "2")):
        folder = tmp_path / f"{name}{content}"
        folder.mkdir()
        (folder / name).write_text(content)
        digests.add(files.content(folder))
    assert len(digests) == 3
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "a").write_text("1")
    assert files.content(other) == files.content(tmp_path / "a1")
