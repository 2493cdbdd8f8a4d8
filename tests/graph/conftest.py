"""Small studies, each built once with DVC; each test works on a copy of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT


class Workspace:
    """A checkout with its built graph."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the checkout; return its output, errors included."""
        env = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
        }
        env.pop("DVC_ROOT", None)
        done = subprocess.run(
            command, cwd=self.folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def repro(self, *arguments: str) -> set[str]:
        """Build as `make repro` does; return the stages whose command ran."""
        built = self.run(sys.executable, "-m", "tools.repro", *arguments)
        return set(re.findall(r"Running stage '([^']+)'", built))

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)

    def code(self, name: str, *changes: tuple[str, str]) -> None:
        """Replace parts of a file, each of which must be there once; without any, add a comment at its end."""
        file = self.folder / name
        text = file.read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        file.write_text(text if changes else f"{text}# A comment.\n", encoding="utf-8")

    def edit(self, key: str, value: object) -> None:
        """Set a key of params.yaml."""
        yaml, file = YAML(), self.folder / "params.yaml"
        tree = yaml.load(file.read_text())
        *groups, last = key.split(".")
        group = tree
        for name in groups:
            group = group[name]
        group[last] = value
        with file.open("w") as opened:
            yaml.dump(tree, opened)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def copied(self, folder: Path) -> "Workspace":
        """A copy of all of it, cache included, in `folder`."""
        shutil.copytree(self.folder, folder / "checkout", symlinks=True)
        return Workspace(folder / "checkout")


def checkout(folder: Path) -> Workspace:
    """A commit of the working tree, without what was built there."""
    workspace = Workspace(folder / "checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if ((ROOT / name).is_file() and not name.startswith("metrics/")) or name == "metrics/.gitignore":
            target = workspace.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    (workspace.folder / "dvc.lock").unlink(missing_ok=True)
    workspace.run("git", "init", "-q", "-b", "main")
    workspace.commit("default study")
    return workspace


def build(workspace: Workspace, study: str) -> Workspace:
    """The same with a study applied and built."""
    workspace.run(sys.executable, "-m", "tools.study", study)
    workspace.commit(f"{study} study")
    workspace.repro()
    workspace.commit("built")
    return workspace


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    return build(checkout(tmp_path_factory.mktemp("built")), "smoke")


@pytest.fixture
def graph(built, tmp_path):
    return built.copied(tmp_path)
