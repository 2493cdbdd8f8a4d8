"""The stored index: whole, of this format and of this very model, or refused with what mends it."""

import json
import os
import shutil
import time

import numpy as np
import polars as pl
import pytest

from stages.index import store
from stages.shared import files, models
from stages.shared.errors import UserError
from tools import indexes

ENTRIES = pl.DataFrame([("a", "x/1", "one"), ("b", "x/2", "two")], schema=store.INDEX_ENTRIES, orient="row")
VECTORS = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(indexes, "STATE", tmp_path / ".state")
    return write_model("models/trained/one", "weights")


def write_model(name, weights):
    folder = store.Path(name)
    folder.mkdir(parents=True)
    (folder / "modules.json").write_text("[]")
    (folder / "model.safetensors").write_text(weights)
    return folder


def save(model, name="kb"):
    folder = models.INDEXES / name
    store.save(folder, ENTRIES, VECTORS, str(model), indexes.digest(model), "kb.jsonl")
    return folder


def refused(folder, model, words):
    with pytest.raises(UserError, match=words) as error:
        indexes.load(folder, model)
    assert "dvc repro index@kb" in str(error.value) and "\n" not in str(error.value)


def test_what_is_saved_is_loaded(model):
    folder = save(model)
    found = indexes.load(folder, model)
    assert found.entries.equals(ENTRIES)
    assert found.vectors.tolist() == VECTORS.tolist()
    assert found.manifest == {
        "format": 1,
        "model": "models/trained/one",
        "model_digest": files.content(model),
        "path": "kb.jsonl",
        "entries_digest": found.manifest["entries_digest"],
        "entries": 2,
        "labels": 2,
        "dimension": 3,
    }


def test_the_same_content_is_the_same_bytes(model):
    one, two = save(model), save(model, "other")
    for name in ("entries.parquet", "index.faiss", "manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_another_model_is_refused(model):
    folder = save(model)
    (model / "model.safetensors").write_text("Weights")
    refused(folder, model, "not an index of the model in models/trained/one, before it changed")
    other = write_model("models/merged/two", "others")
    refused(folder, other, "not an index of the model in models/merged/two, but that of models/trained/one")


def test_a_copy_of_the_model_elsewhere_is_taken(model):
    folder = save(model)
    shutil.copytree(model, "copy")
    assert indexes.load(folder, store.Path("copy")).entries.height == 2


def test_another_format_is_refused(model):
    folder = save(model)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    refused(folder, model, "has the format 2, this code reads 1")


DAMAGES = {
    "manifest cut": ("manifest.json", lambda b: b[:20]),
    "manifest of something else": ("manifest.json", lambda b: b"[]"),
    "entries changed": ("entries.parquet", lambda b: b[:-1] + b"X"),
    "index cut": ("index.faiss", lambda b: b[:40]),
    "index empty": ("index.faiss", lambda b: b""),
    "no entries": ("entries.parquet", None),
    "no index": ("index.faiss", None),
}


@pytest.mark.parametrize(("file", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_an_index_that_is_not_whole_is_refused(model, file, damage):
    folder = save(model)
    if damage is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(damage((folder / file).read_bytes()))
    refused(folder, model, "is not whole")


def test_the_vectors_of_other_entries_are_refused(model):
    import faiss

    folder = save(model)
    index = faiss.IndexFlatIP(3)
    index.add(VECTORS[:1])
    faiss.write_index(index, str(folder / "index.faiss"))
    refused(folder, model, "is not whole")


def test_a_folder_without_an_index_says_how_to_make_one(model):
    refused(models.INDEXES / "kb", model, "holds no index")


def test_a_model_finds_its_index(model):
    with pytest.raises(UserError, match=r"models/trained/one has no index: add indexes.<name> to params.yaml"):
        indexes.find(model)
    folder = save(model)
    save(write_model("models/base", "base"), "others")
    assert indexes.find(model) == indexes.find(model.resolve()) == folder
    save(model, "second")
    with pytest.raises(UserError, match=r"models/indexes/kb, models/indexes/second: name one of them with --index"):
        indexes.find(model)


def test_no_model_has_no_digest(tmp_path):
    with pytest.raises(UserError, match="holds no model"):
        indexes.digest(tmp_path)


@pytest.fixture
def remembering(model, monkeypatch):
    """Digests of models of any size are remembered, and how often one is computed."""
    indexes.STATE.mkdir()
    monkeypatch.setattr(indexes, "LARGE", 0)
    monkeypatch.setattr(indexes, "TICKS", 0)
    computed = []

    def counted(folder):
        computed.append(folder)
        return content(folder)

    content = files.content
    monkeypatch.setattr(files, "content", counted)
    return computed


def test_the_digest_of_a_large_model_is_remembered(model, remembering):
    first = indexes.digest(model)
    assert indexes.digest(model) == first and len(remembering) == 1


def test_a_changed_file_of_the_same_size_and_time_is_seen(model, remembering):
    file = model / "model.safetensors"
    first, was = indexes.digest(model), file.stat()
    time.sleep(0.05)  # more than a tick of the file system's clock
    file.write_text("Weights")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert file.stat().st_size == was.st_size and file.stat().st_mtime_ns == was.st_mtime_ns
    second = indexes.digest(model)
    assert second != first
    time.sleep(0.05)
    file.write_text("weights")
    assert indexes.digest(model) == first and len(remembering) == 3


def test_a_model_that_changed_just_now_is_not_remembered(model, remembering, monkeypatch):
    monkeypatch.setattr(indexes, "TICKS", 2e9)
    indexes.digest(model)
    indexes.digest(model)
    assert len(remembering) == 2 and not (indexes.STATE / "digests").exists()


def test_a_damaged_memory_is_no_memory(model, remembering):
    first = indexes.digest(model)
    (file,) = (indexes.STATE / "digests").iterdir()
    for damage in ("", "{", "[]", "{}"):
        file.write_text(damage)
        assert indexes.digest(model) == first
    assert len(remembering) == 5


def test_small_models_and_folders_without_state_remember_nothing(model, remembering, monkeypatch):
    indexes.STATE.rmdir()
    indexes.digest(model)
    assert not indexes.STATE.exists()
    indexes.STATE.mkdir()
    monkeypatch.setattr(indexes, "LARGE", 2**25)
    indexes.digest(model)
    assert not list(indexes.STATE.iterdir()) and len(remembering) == 2
