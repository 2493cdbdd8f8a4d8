"""What Git knows of the checkout."""

from __future__ import annotations

import subprocess

from stages.shared.errors import UserError


def git(*arguments: str) -> str | None:
    """What Git prints; None if it fails. Raises `UserError` if there is no Git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise UserError("git is not installed, or not on PATH: install it, as DVC needs it too") from None
    return done.stdout if done.returncode == 0 else None
