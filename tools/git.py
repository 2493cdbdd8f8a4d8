"""What Git knows of the checkout."""

from __future__ import annotations

import subprocess

from stages.shared.errors import UserError

TELL_GIT = "tell it with `git config --global user.name NAME` and `git config --global user.email ADDRESS`"


def git(*arguments: str) -> str | None:
    """What Git prints; None if it fails. Raises `UserError` if there is no Git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise UserError(
            "git is not installed, or not on PATH: install it, since what is committed is read with it"
        ) from None
    return done.stdout if done.returncode == 0 else None


def identity() -> bool:
    """Whether Git knows whose commits it makes. It makes a name up of the machine's where it may, and DVC does not."""
    return all(git("-c", "user.useConfigOnly=true", "var", f"GIT_{who}_IDENT") for who in ("AUTHOR", "COMMITTER"))
