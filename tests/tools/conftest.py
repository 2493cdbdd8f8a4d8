"""A repository of its own, whose params.yaml a study changes."""

import subprocess

import pytest


def git(*arguments):
    """Run Git, which must not fail."""
    subprocess.run(["git", *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(workspace, monkeypatch):
    """A repository of its own, with params.yaml committed."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(workspace.path.parent))
    git("init")
    git("add", "params.yaml")
    git("commit", "-m", "x")
    return workspace


def study(workspace, text, *words, name="s"):
    folder = workspace.path / "studies"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    workspace.run("study", name, *words)
