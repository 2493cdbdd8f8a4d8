"""Where state is kept: beside the main checkout, wherever a stage runs."""

import os
import subprocess
import sys

import pytest

from stages.shared.state import main_checkout
from tests.conftest import ROOT


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """A repository with a commit."""
    folder = tmp_path / "main"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "begun")
    return folder


def test_a_checkout_is_its_own(checkout, tmp_path):
    assert main_checkout(checkout) == checkout
    assert main_checkout(tmp_path) == tmp_path  # no repository at all


def test_a_linked_worktree_is_its_main_checkouts(checkout, tmp_path):
    linked = tmp_path / "elsewhere" / "linked"
    git(checkout, "worktree", "add", "-q", str(linked))
    assert (linked / ".git").is_file()
    assert main_checkout(linked) == checkout


def test_a_relative_link_is_followed(checkout, tmp_path):
    """As Git writes it where worktree.useRelativePaths is set."""
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / ".git").write_text("gitdir: ../main/.git/worktrees/linked\n")
    assert main_checkout(linked) == checkout


def test_a_submodule_is_a_checkout_of_its_own(checkout):
    module = checkout / "module"
    module.mkdir()
    (module / ".git").write_text("gitdir: ../.git/modules/module\n")
    assert main_checkout(module) == module


def test_a_worktree_of_a_bare_repository_is_a_checkout_of_its_own(checkout, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(checkout), "bare.git")
    linked = tmp_path / "linked"
    git(tmp_path / "bare.git", "worktree", "add", "-q", str(linked))
    assert (linked / ".git").is_file()
    assert main_checkout(linked) == linked


def state_of(folder, **environment):
    """STATE as a process that starts in `folder` sees it."""
    inherited = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    done = subprocess.run(
        [sys.executable, "-c", "from stages.shared import state; print(state.STATE)"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_the_state_is_in_the_main_checkout_whatever_the_folder_a_stage_runs_in(checkout, tmp_path):
    linked = tmp_path / "linked"
    git(checkout, "worktree", "add", "-q", str(linked))
    wanted = str(checkout / ".state")
    assert state_of(checkout) == wanted
    assert state_of(linked) == wanted
    # An experiment in a temporary checkout, of the main checkout and of a linked one.
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert state_of(temporary, DVC_ROOT=str(checkout)) == wanted
    assert state_of(temporary, DVC_ROOT=str(linked)) == wanted
