"""dvc.lock, which DVC rewrites in place after each stage: a kill at that moment leaves it cut, and later `dvc` commands
fail.

A whole one is kept aside, and what was committed is in Git. What an older one does not know, DVC takes from its
run-cache.
"""

from __future__ import annotations

import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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


class Order:
    """The order in which stages that are new in dvc.lock are written to it: that in which DVC builds them one after
    another, also where they end in another."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._before: set[str] | None = None

    def begins(self, names: list[str]) -> None:
        """These are to be built, in this order."""
        self._places = {name: place for place, name in enumerate(names)}
        self._before = None

    @contextmanager
    def kept(self, data: Any) -> Iterator[None]:
        """In the block, stages are added to what dvc.lock holds."""
        if self._before is None:
            self._before = set(data.get("stages", ()))
        yield
        new = [name for name in data["stages"] if name in self._places and name not in self._before]
        wanted = sorted(new, key=self._places.__getitem__)
        if new != wanted:
            for name in wanted:
                data["stages"][name] = data["stages"].pop(name)


@contextmanager
def written_whole() -> Iterator[Order]:
    """In the block, DVC in this process writes dvc.lock whole or not at all, and it is kept aside each time; Ctrl-C and
    SIGTERM wait until it is there. The bytes are DVC's own, in the order that is given."""
    from dvc import dvcfile

    modify = dvcfile.modify_yaml
    known = _Known(modify)
    order = Order()

    @contextmanager
    def replaced(path: str, fs: Any = None) -> Iterator[Any]:
        with _signals_waiting():
            with tables.replacing(path) as draft:
                if Path(path).is_file():
                    shutil.copyfile(path, draft)
                own = Path(path).resolve() == LOCK.resolve()
                modified = known.modified(draft) if own else modify(str(draft), fs=fs)
                with modified as data, order.kept(data) if own else nullcontext():
                    yield data
            if own:
                keep()

    dvcfile.modify_yaml = replaced
    try:
        yield order
    finally:
        dvcfile.modify_yaml = modify


class _Known:
    """dvc.lock as it was written last, and the lines of each of its stages.

    DVC reads the whole file after each stage and writes it anew, comments and all, which with sixty stages takes it a
    second and more: most of its own time. Here the stages that are as before keep their lines.
    """

    BEGIN = "schema: '2.0'\nstages:\n"

    def __init__(self, modify: Callable[[str], AbstractContextManager[Any]]) -> None:
        self._modify = modify
        self._text = ""
        self._data: dict[str, Any] = {}
        self._lines: dict[str, str] = {}

    @contextmanager
    def modified(self, path: Path) -> Iterator[Any]:
        """As DVC's `modify_yaml`: what the file holds, and what becomes of that is written."""
        from dvc.utils.serialize._yaml import dumps_yaml

        if not self._reads(path.read_text(encoding="utf-8") if path.is_file() else ""):
            with self._modify(str(path)) as data:
                yield data
            return
        before, self._text = dict(self._data["stages"]), ""
        yield self._data
        stages = self._data["stages"]
        for name in stages:
            if stages[name] is not before.get(name):
                self._lines[name] = dumps_yaml({"stages": {name: stages[name]}}).partition("\n")[2]
        self._lines = {name: self._lines[name] for name in stages}
        self._text = self.BEGIN + "".join(self._lines.values())
        path.write_text(self._text, encoding="utf-8")

    def _reads(self, text: str) -> bool:
        """Whether `text`, which is known from now on, is stages and nothing else."""
        from dvc.utils.serialize import parse_yaml

        if not text.startswith(self.BEGIN):
            return False
        if text != self._text:
            self._data = parse_yaml(text, LOCK)
            lines = re.split(r"(?m)^(?=  \S)", text.removeprefix(self.BEGIN))[1:]
            if {*self._data} != {"schema", "stages"} or len(lines) != len(self._data["stages"]):
                return False
            self._lines = dict(zip(self._data["stages"], lines, strict=True))
        return True


@contextmanager
def _signals_waiting() -> Iterator[None]:
    # They come to the main thread, which waits for the others.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
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
