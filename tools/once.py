"""What DVC does several times for each stage, done once: most of its own time for a stage of fifty files.

In the block of `done`, params are parsed when they change and not for each look at them; a file that a stage depends on
is looked up among known digests when it changes and not a dozen times; a stage that holds its paths in DVC's lock of
paths does not enter them there anew for each of its steps; and lists of dependencies, most of what DVC writes of a
stage, are written without its general writer. What is found, locked and written is the same.
"""

from __future__ import annotations

import copy
import io
import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

# What YAML reads as a string without quotes, among paths and digests: no number, no word such as `yes` or `null`.
PLAIN_PATH = re.compile(r"[A-Za-z][\w.-]*(?:/[\w.-]+|\.\w+)+", re.ASCII)
PLAIN_DIGEST = re.compile(r"[0-9a-f]*[a-df][0-9a-f]*(?:\.dir)?")
ELSEWHERE = "DEPENDENCIES-THAT-ARE-WRITTEN-APART"


@contextmanager
def done() -> Iterator[None]:
    with ExitStack() as stack:
        for own in (_params, _digests, _paths, _dependencies):
            stack.enter_context(own())
        yield


@contextmanager
def _replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """In the block, `owner` has what `make` makes of its `name`."""
    plain = getattr(owner, name)
    setattr(owner, name, make(plain))
    try:
        yield
    finally:
        setattr(owner, name, plain)


@contextmanager
def _params() -> Iterator[None]:
    from dvc.dependency import param

    held: dict[str, tuple[bytes, Any]] = {}

    def parsing(plain: Any) -> Any:
        def load(path: str, fs: Any, **how: Any) -> Any:
            with fs.open(path, "rb") as file:
                content = file.read()
            if path not in held or held[path][0] != content:
                held[path] = content, plain(path, fs, **how)
            return held[path][1]

        return load

    def reading(plain: Any) -> Any:
        def read(fs: Any, path: str, keys: list[str] | None = None, flatten: bool = False, **how: Any) -> Any:
            # DVC looks through all of a file for each key, which may be a pattern.
            named = param.load_path(path, fs, **how) if keys and flatten else {}
            found = {key: _at(named, key) for key in keys or ()} if named else {"": None}
            if None in found.values():
                found = plain(fs, path, keys, flatten, **how)
            # What is asked for is each time another copy.
            return copy.deepcopy(found)

        return read

    with _replaced(param, "load_path", parsing), _replaced(param, "read_param_file", reading):
        yield


def _at(tree: Any, key: str) -> Any:
    """What is at the path `key` of names; None if it is not there, or null, or `key` is no such path."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


@contextmanager
def _digests() -> Iterator[None]:
    from dvc.output import Output

    held: dict[tuple[Any, ...], tuple[tuple[int, ...], Any]] = {}

    def building(plain: Any) -> Any:
        def build(self: Any, odb: Any, path: str, fs: Any, name: str, **how: Any) -> Any:
            token = _token(path) if self.IS_DEPENDENCY and fs.protocol == "local" else None
            if token is None:
                return plain(self, odb, path, fs, name, **how)
            # The same by which DVC knows a file.
            key = path, name, how.get("dry_run", False)
            if key not in held or held[key][0] != token:
                held[key] = token, plain(self, odb, path, fs, name, **how)
            staging, meta, found = held[key][1]
            found = copy.copy(found)
            found.hash_info = copy.copy(found.hash_info)
            return staging, copy.copy(meta), found

        return build

    with _replaced(Output, "_build", building):
        yield


def _token(path: str) -> tuple[int, ...] | None:
    """What changes with a file; None if it is none."""
    try:
        known = Path(path).stat()
    except OSError:
        return None
    return (known.st_mtime_ns, known.st_size, known.st_ino) if stat.S_ISREG(known.st_mode) else None


@contextmanager
def _paths() -> Iterator[None]:
    import dvc.rwlock

    own = threading.local()

    def locking(plain: Any) -> Any:
        @contextmanager
        def lock(tmp_dir: str, fs: Any, cmd: str, read: list[str], write: list[str], hardlink: bool) -> Iterator[None]:
            held: list[tuple[set[str], set[str]]] = own.__dict__.setdefault("held", [])
            if any(written.issuperset(write) and (of_read | written).issuperset(read) for of_read, written in held):
                yield
                return
            with plain(tmp_dir, fs, cmd, read, write, hardlink):
                held.append((set(read), set(write)))
                try:
                    yield
                finally:
                    held.pop()

        return lock

    with _replaced(dvc.rwlock, "rwlock", locking):
        yield


@contextmanager
def _dependencies() -> Iterator[None]:
    from dvc.utils.serialize import _yaml

    def writing(plain: Any) -> Any:
        def write(data: Any, stream: Any) -> None:
            if (text := _written(data, plain)) is None:
                plain(data, stream)
            else:
                stream.write(text)

        return write

    with _replaced(_yaml, "_dump", writing):
        yield


def _written(data: Any, plain: Callable[[Any, Any], None]) -> str | None:
    """A stage of dvc.lock or of the run-cache as `plain` writes it; None of anything else."""
    if not isinstance(data, Mapping):
        return None
    lock = data.get("stages") if set(data) == {"stages"} else None
    stage = next(iter(lock.values())) if isinstance(lock, Mapping) and len(lock) == 1 else data
    if not isinstance(stage, Mapping) or (lines := _lines(stage.get("deps"))) is None:
        return None
    rest = {**stage, "deps": ELSEWHERE}
    stream = io.StringIO()
    plain({"stages": dict.fromkeys(lock, rest)} if stage is not data and lock else rest, stream)
    before, marker, after = stream.getvalue().partition(f"deps: {ELSEWHERE}\n")
    if not marker or ELSEWHERE in after:
        return None
    indent = before.rpartition("\n")[2]
    return f"{before}deps:\n" + "".join(f"{indent}{line}\n" for line in lines) + after


def _lines(dependencies: Any) -> list[str] | None:
    """Lines of a list of dependencies; None if there is more to some than a path, a digest and a size."""
    if not isinstance(dependencies, list) or not dependencies:
        return None
    lines = []
    for dependency in dependencies:
        for place, (key, value) in enumerate(dependency.items()):
            suits = (
                (key == "path" and isinstance(value, str) and PLAIN_PATH.fullmatch(value))
                or (key == "md5" and isinstance(value, str) and PLAIN_DIGEST.fullmatch(value))
                or (key == "hash" and value == "md5")
                or (key in ("size", "nfiles") and type(value) is int)
            )
            if not suits:
                return None
            lines.append(f"{'  ' if place else '- '}{key}: {value}")
    return lines
