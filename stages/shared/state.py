"""Where what must survive a kill is kept: outside DVC's outputs, which DVC deletes before each run.

DVC runs queued experiments in temporary checkouts and says in DVC_ROOT where the main one is; a linked worktree of Git
says in its `.git` file. All of them share one folder.
"""

from __future__ import annotations

import os
from pathlib import Path


def main_checkout(folder: Path) -> Path:
    """The checkout that `folder` is, or whose linked worktree it is."""
    link = folder / ".git"
    if link.is_file():
        # gitdir: <main>/.git/worktrees/<name>
        target = (folder / link.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        if target.parent.name == "worktrees" and target.parent.parent.name == ".git":
            return target.parents[2]
    return folder


ROOT = main_checkout(Path(os.environ.get("DVC_ROOT") or Path.cwd()))
STATE = ROOT / ".state"
