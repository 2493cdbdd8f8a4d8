"""What Git knows of the checkout."""

from __future__ import annotations

import subprocess


def git(*arguments: str) -> str | None:
    """What Git prints; None if it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 else None
