"""git: what is not there is told."""

import pytest

from stages.shared.errors import UserError
from tools.git import git, identity


def test_a_machine_without_git_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="git is not installed, or not on PATH: install it"):
        git("status")


def test_an_identity_is_of_the_configuration_or_the_environment(monkeypatch, tmp_path):
    assert identity()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert not identity()
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "t")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "t@example.org")
    assert identity()
