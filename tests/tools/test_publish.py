"""publish: what is sent to a hub that a local server plays, and what keeps it from being sent."""

import hashlib
import sys

import pytest
import yaml
from huggingface_hub import constants

from stages.shared import tables
from stages.shared.errors import UserError
from tests.fakes.hub import SHA, serving
from tests.tools import test_experiments
from tools import gate, publish

MODEL = {"modules.json": "[]", "README.md": "# avg\n", "int8/model.safetensors": "weights"}


@pytest.fixture
def hub(monkeypatch):
    with serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        yield server


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A commit whose models/chosen is what its dvc.lock names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(gate, "RECORDS", tmp_path / "kept")
    study = test_experiments.Study(tmp_path, monkeypatch)
    study.git("init", "-q", "-b", "main")
    stage = {"cmd": "true", "deps": ["made.txt"], "outs": ["models/chosen"]}
    study.file("dvc.yaml", yaml.safe_dump({"stages": {"chosen": stage}}))
    study.file(".gitignore", "/models\n/.dvc/cache\n/.dvc/tmp\n/kept\n")
    study.file(".dvc/config", "[core]\n    analytics = false\n")
    study.file("params.yaml", "seed: 1\n")
    study.file("made.txt", "x")
    for name, text in MODEL.items():
        study.file(f"models/chosen/{name}", text)
    digest = hashlib.md5(b"x").hexdigest()
    from dvc.repo import Repo

    with Repo() as repo:
        repo.commit(force=True)
    assert digest in (tmp_path / "dvc.lock").read_text()
    study.git("add", "-A")
    study.git("commit", "-qm", "x")
    return study


def judge(study, passed):
    head = study.git("rev-parse", "HEAD")
    tables.write_json({"against": "main", "passed": passed}, gate.RECORDS / f"{head}.json")
    return head


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["publish", "someone/model", *arguments])
    publish.main()


def test_what_a_dry_run_lists_is_what_is_sent(study, hub, monkeypatch, capsys):
    head = judge(study, passed=True)
    run(monkeypatch, "--dry-run")
    *listed, total, last = capsys.readouterr().out.splitlines()
    assert last == "nothing was sent (--dry-run)" and not hub.asked
    run(monkeypatch)
    printed = capsys.readouterr().out.splitlines()
    assert printed[:-1] == [*listed, total] and printed[-1].endswith(f"/someone/model/commit/{SHA}")
    assert [line.split() for line in listed] == [[str(len(body)), name] for name, body in sorted(hub.pushed.items())]
    assert total.split() == f"{sum(map(len, hub.pushed.values()))} bytes in 4 files to someone/model".split()
    assert set(hub.pushed) == {*MODEL, "params.yaml"}
    assert hub.pushed["int8/model.safetensors"] == b"weights" and hub.pushed["params.yaml"] == b"seed: 1\n"
    assert hub.pushed["README.md"].decode().startswith("# avg\n\n## Built from\n\nCommit `" + head)
    assert hub.message == f"Isogloss at {head}" and {token for *_, token in hub.asked} == {"Bearer hf_mine"}


def test_what_is_not_proven_is_listed_and_not_sent(study, hub, monkeypatch, capsys):
    def refused(match):
        for options in ([], ["--dry-run"]):
            with pytest.raises(UserError, match=match):
                run(monkeypatch, *options)
            assert "README.md" in capsys.readouterr().out and not hub.asked

    refused("the gate was not run on .*: run `python -m tools.gate --against main`")
    judge(study, passed=False)
    refused("the gate failed on .* against main: nothing is published")
    judge(study, passed=True)
    study.file("models/chosen/modules.json", "[1]")
    refused("models/chosen is not what dvc.lock names, or what it is made of has changed: run `dvc repro`")
    study.file("params.yaml", "seed: 2\n")
    refused("the workspace is not as committed, .*: commit first")


def test_a_hub_that_refuses_is_one_sentence(study, hub, monkeypatch):
    judge(study, passed=True)
    hub.refuses = "Forbidden"
    with pytest.raises(UserError, match=r"someone/model cannot be published now .*403.*: mend that, and run it again"):
        run(monkeypatch)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="HF_TOKEN is not set: set it to a token that may write"):
        run(monkeypatch)
    assert not hub.pushed
    (study.folder / "models/chosen/modules.json").unlink()
    with pytest.raises(UserError, match="models/chosen holds no model: run `dvc repro chosen`"):
        run(monkeypatch)
