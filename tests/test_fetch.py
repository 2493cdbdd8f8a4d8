"""fetch: from a hub that a local server plays."""

import os
import subprocess
import sys

import pytest
from huggingface_hub import constants

from stages import fetch
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.fakes.hub import FILES, SHA, serving


@pytest.fixture
def hub(monkeypatch):
    with serving() as server:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("https://huggingface.co", server.url)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def study(workspace, monkeypatch):
    monkeypatch.setattr(fetch, "PARTIAL", workspace.path / ".state/fetch")
    return workspace


def wanted(**changes):
    return {"x": {"repo": "some/set", "revision": SHA, "files": ["data/*"]} | changes}


def held(study):
    return {
        path.relative_to(study.path / "data/fetch/x").as_posix(): path.read_bytes()
        for path in (study.path / "data/fetch").rglob("*")
        if not path.is_dir()
    }


def downloaded(hub):
    return sorted(file for command, kind, file, _ in hub.asked if (command, kind) == ("GET", "resolve"))


def test_the_files_named_arrive_as_plain_files_and_nothing_else(hub, study):
    study.edit(fetch=wanted()).run("fetch", "x")
    data = {name: body for name, body in FILES.items() if name.startswith("data/")}
    assert held(study) == data
    assert downloaded(hub) == sorted(data)
    assert not any(path.is_symlink() for path in (study.path / "data").rglob("*"))
    assert {path.name for path in (study.path / "data/fetch").iterdir()} == {"x"}
    assert not list((study.path / ".state").rglob("*.jsonl"))


def test_a_branch_means_one_commit_for_all_files(hub, study):
    study.edit(fetch=wanted(revision="main", files=["*"])).run("fetch", "x")
    assert held(study) == FILES
    assert [kind for _, kind, *_ in hub.asked].count("revision") == 1


def test_other_files_replace_those_of_before(hub, study):
    study.edit(fetch=wanted()).run("fetch", "x")
    study.edit(fetch=wanted(files=["*.md"])).run("fetch", "x")
    assert held(study) == {"README.md": b"about"}


def test_only_the_token_of_the_environment_is_sent(hub, study, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("hf_stored")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    study.edit(fetch=wanted()).run("fetch", "x")
    assert {token for *_, token in hub.asked} == {None}
    hub.asked.clear()
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    study.run("fetch", "x")
    assert {token for *_, token in hub.asked} == {"Bearer hf_mine"}


@pytest.mark.parametrize(
    ("changes", "refuses", "message"),
    [
        ({"repo": "some/other"}, None, r"fetch\.x\.repo: the hub has no data set some/other"),
        ({"revision": "v9"}, None, r"fetch\.x\.revision: some/set has no v9"),
        ({"files": ["*.csv", "test/*"]}, None, r"no file \*\.csv or test/\* \(it has README\.md, data/en\.jsonl, "),
        ({}, "GatedRepo", r"fetch\.x\.repo: some/set asks for its terms to be accepted"),
        ({}, "Other", r"fetch\.x cannot be downloaded now \(.*403"),
    ],
)
def test_what_the_hub_does_not_have_is_told(hub, study, changes, refuses, message):
    hub.refuses = refuses
    with pytest.raises(UserError, match=message) as raised:
        study.edit(fetch=wanted(**changes)).run("fetch", "x")
    assert "\n" not in str(raised.value)
    assert not (study.path / "data/fetch").exists()


def test_files_that_would_leave_the_folder_are_refused(hub, study):
    hub.files = FILES | {"data/../../../x": b""}
    with pytest.raises(UserError, match=r"some/set has files outside of its folder \(data/\.\./\.\./\.\./x\)"):
        study.edit(fetch=wanted()).run("fetch", "x")
    assert not (study.path / "x").exists()


def test_without_a_network(hub, study, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"fetch\.x needs the network: unset HF_HUB_OFFLINE"):
        study.edit(fetch=wanted()).run("fetch", "x")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"fetch\.x cannot be downloaded now \(.*refused"):
        study.run("fetch", "x")


def test_a_download_that_is_not_whole_is_not_taken_for_whole(hub, study, monkeypatch):
    # What snapshot_download does if the connection is lost once the files are listed.
    monkeypatch.setattr(fetch.HfApi, "snapshot_download", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"is not whole, it lacks data/en\.jsonl, data/ko\.jsonl: run it again"):
        study.edit(fetch=wanted()).run("fetch", "x")


def test_files_of_another_revision_are_not_taken_for_this_ones(hub, study, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(fetch, "_place", lambda *_: sys.exit("killed"))
        with pytest.raises(SystemExit):
            study.edit(fetch=wanted()).run("fetch", "x")
    monkeypatch.setattr(fetch.HfApi, "snapshot_download", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"is not whole, it lacks data/en\.jsonl"):
        study.edit(fetch=wanted(revision="main")).run("fetch", "x")
    study.edit(fetch=wanted()).run("fetch", "x")
    assert set(held(study)) == {"data/en.jsonl", "data/ko.jsonl"}


def test_a_killed_download_goes_on_and_leaves_the_old_files_until_then(hub, study):
    study.edit(fetch=wanted(files=["*.md"])).run("fetch", "x")
    study.edit(fetch=wanted())
    hub.asked.clear()
    hub.stuck = "data/ko.jsonl"
    settings = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "DVC_ROOT": str(study.path), "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **settings}
    process = subprocess.Popen([sys.executable, "-m", "stages.fetch", "x"], env=environment, stderr=subprocess.DEVNULL)
    try:
        assert hub.reached.wait(60)
        # The other file is there, and the record that it is whole.
        record = ".cache/huggingface/download/data/en.jsonl.metadata"
        # It is three lines, and opened before they are written.
        while not any(
            found.read_text().count("\n") == 3 for found in (study.path / ".state/fetch/x").glob(f"*/{record}")
        ):
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert held(study) == {"README.md": b"about"}
    hub.released.set()
    hub.asked.clear()
    study.run("fetch", "x")
    assert downloaded(hub) == ["data/ko.jsonl"]
    assert set(held(study)) == {"data/en.jsonl", "data/ko.jsonl"}
