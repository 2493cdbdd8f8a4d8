"""dvc.lock, which DVC rewrites in place after each stage: a kill at that moment leaves it cut, and later `dvc` commands
fail.

A whole one is kept aside, and what was committed is in Git. What an older one does not know, DVC takes from its
run-cache.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from stages.shared import tables
from stages.shared.errors import UserError
from tools.git import git
from tools.graph import LOCK

# Of this checkout alone, and not of Git.
ASIDE = Path(".dvc/tmp")
KEPT, CUT = ASIDE / "kept.lock", ASIDE / "cut.lock"
CONFLICT = "<<<<<<< "


def mend() -> None:
    """If dvc.lock is cut, say so, and put the last whole one in its place; else keep it aside.

    Raises `UserError` if it holds a conflict of Git's, which is not for us to resolve.
    """
    if not LOCK.is_file():
        return
    text = LOCK.read_text(encoding="utf-8", errors="replace")
    # Looking into it takes seconds.
    if text.endswith("\n") and KEPT.is_file() and KEPT.read_text(encoding="utf-8", errors="replace") == text:
        return
    if any(line.startswith(CONFLICT) for line in text.splitlines()):
        raise UserError(
            f"{LOCK} has a merge conflict: take either side, e.g. `git checkout --ours {LOCK}`, and run again"
        )
    if whole(text):
        keep()
        return
    ASIDE.mkdir(parents=True, exist_ok=True)
    LOCK.replace(CUT)
    good, source = _last_whole()
    if good is not None:
        tables.write_text(good, LOCK)
    print(
        f"{LOCK} was cut, as by a kill while DVC wrote it: {source}; what that does not know comes from DVC's "
        f"run-cache (the cut one is {CUT})"
    )


def whole(text: str) -> bool:
    """Whether DVC would read `text`, all of which is there: it ends as DVC ends it."""
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import parse_yaml
    from voluptuous import Invalid

    try:
        tree = COMPILED_LOCKFILE_SCHEMA(parse_yaml(text, LOCK))
    except (DvcException, Invalid):
        return False
    return "stages" in tree and text.endswith("\n")


def keep() -> None:
    """Keep dvc.lock, which is whole, aside."""
    with tables.replacing(KEPT) as draft:
        shutil.copyfile(LOCK, draft)


def _last_whole() -> tuple[str | None, str]:
    """The text of the younger of what is kept aside and what is committed, and where it is from."""
    committed = git("show", f"HEAD:./{LOCK}")
    time = (git("log", "-1", "--format=%ct", "--", str(LOCK)) or "").strip()
    found = [(float(time or 0), committed, "the committed one is restored")]
    if KEPT.is_file():
        aside = KEPT.read_text(encoding="utf-8", errors="replace")
        found.append((KEPT.stat().st_mtime, aside, "the one of the last stage is restored"))
    for _, text, source in sorted(found, key=lambda one: one[0], reverse=True):
        if text is not None and whole(text):
            return text, source
    return None, "there is none to restore, so that it begins anew"


@contextmanager
def written_whole() -> Iterator[None]:
    """In the block, DVC in this process writes dvc.lock whole or not at all, and it is kept aside each time; Ctrl-C and
    SIGTERM wait until it is there. The bytes are DVC's own."""
    from dvc import dvcfile

    modify = dvcfile.modify_yaml

    @contextmanager
    def replaced(path: str, fs: Any = None) -> Iterator[Any]:
        with _signals_waiting():
            with tables.replacing(path) as draft:
                if Path(path).is_file():
                    shutil.copyfile(path, draft)
                with modify(str(draft), fs=fs) as data:
                    yield data
            if Path(path).resolve() == LOCK.resolve():
                keep()

    dvcfile.modify_yaml = replaced
    try:
        yield
    finally:
        dvcfile.modify_yaml = modify


@contextmanager
def _signals_waiting() -> Iterator[None]:
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for first in came[:1]:
            signal.raise_signal(first)
