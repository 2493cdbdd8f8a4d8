"""A stage whose command runs in a checkout of its own on another machine; data go there, and come back, by a remote of
DVC that both reach.

Where a build is started, `Carrier` sends what Git has of the checkout, as it is, with the stage, and brings what the
stage has made. There, `python -m tools.over_remote STAGE REMOTE RESULT COMMAND ...` brings what the stage reads, runs
its command, and pushes what comes of it. What DVC does not cache, as metrics in Git, goes along.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.shared import errors
from stages.shared.errors import UserError
from tools.git import git

# In what comes back, beside the files that DVC does not cache: of each cached output what DVC knows it by.
CACHED = "cached.json"


class Carrier:
    """Takes stages of the checkout in `folder` to other machines, by the DVC remote of this name.

    Raises `UserError` if a clone of the checkout would not know it.
    """

    def __init__(self, folder: str, remote: str) -> None:
        self._folder, self._remote = Path(folder).resolve(), remote
        with opened(self._folder) as repo:
            known = repo.config.read("repo").get("remote", {})
        if remote not in known:
            named = ", ".join(known) or "none"
            raise UserError(
                f"--ray-remote {remote}: other machines know the remotes of .dvc/config, of which there are: {named} "
                "(`dvc remote add NAME URL`)"
            )

    def packed(self, name: str) -> tuple[bytes, str] | None:
        """The checkout for the stage of this name, as a tar archive, and the remote that has what else it reads; None
        if it reads what neither Git has nor a stage makes. Raises `UserError` if the remote cannot be reached."""
        with opened(self._folder) as repo, told(f"{name}: pushing what it reads to {self._remote}"):
            [stage] = repo.stage.collect(name)
            listed = git("-C", str(self._folder), "ls-files", "-coz", "--exclude-standard") or ""
            taken = {path for path in listed.split("\0") if path}
            pushed = set()
            for path, outs in _read(repo, stage):
                for out in outs:
                    if out.use_cache:
                        pushed |= {one for ones in out.get_used_objs(push=True).values() for one in ones}
                    else:
                        taken |= {str(file.relative_to(self._folder)) for file in _files(Path(out.fs_path))}
                if not outs and not any(own == path or own.startswith(f"{path}/") for own in taken):
                    return None
            _whole(repo.cloud.push(pushed, remote=self._remote))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
            for path in sorted(taken):
                # A file that Git knows may have been deleted.
                with contextlib.suppress(FileNotFoundError):
                    archive.add(self._folder / path, path, recursive=False)
        return buffer.getvalue(), self._remote

    def unpack(self, name: str, result: bytes) -> None:
        """Put what the stage of this name has made where it belongs; `result` is what came of it."""
        with opened(self._folder) as repo, told(f"{name}: fetching what it made from {self._remote}"):
            [stage] = repo.stage.collect(name)
            with tarfile.open(fileobj=io.BytesIO(result)) as archive:
                cached = json.load(archive.extractfile(CACHED) or io.BytesIO(b"{}"))
                rest = [member for member in archive.getmembers() if member.name != CACHED]
                archive.extractall(self._folder, rest, filter="data")
            for out in stage.outs:
                if not out.use_cache:
                    continue
                out.hash_info = type(out.hash_info)(**cached[out.def_path])
                for ones in out.get_used_objs(remote=self._remote).values():
                    _whole(repo.cloud.pull(ones, remote=self._remote))
                out.checkout(force=True)


def main() -> None:
    name, remote, result, *command = sys.argv[1:]
    with opened(Path.cwd()) as repo:
        [stage] = repo.stage.collect(name)
        wanted: list[str] = []
        for path, outs in _read(repo, stage):
            own = [out.def_path for out in outs if out.use_cache]
            # Of a folder that a stage makes, what is read; of one that several make parts of, these.
            wanted += own if any(part.startswith(f"{path}/") for part in own) else [path] * bool(own)
        with told(f"{name}: fetching what it reads from {remote}"):
            if wanted:
                repo.pull(wanted, remote=remote)
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(code if code > 0 else 128 - code)
        with told(f"{name}: pushing what it made to {remote}"):
            repo.commit(name, force=True)
            [stage] = repo.stage.collect(name)
            if any(out.use_cache for out in stage.outs):
                repo.push(name, remote=remote)
        cached = {
            out.def_path: {"name": out.hash_info.name, "value": out.hash_info.value}
            for out in stage.outs
            if out.use_cache
        }
        with tarfile.open(result, "w:gz") as archive:
            text = json.dumps(cached).encode()
            entry = tarfile.TarInfo(CACHED)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
            for out in stage.outs:
                if not out.use_cache:
                    archive.add(out.fs_path, out.def_path)


@contextmanager
def opened(folder: Path) -> Iterator[Any]:
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        yield repo


@contextmanager
def told(what: str) -> Iterator[None]:
    """In the block, what DVC raises is one sentence, which says `what` was tried."""
    from dvc.exceptions import DvcException

    try:
        yield
    except (DvcException, OSError) as error:
        raise UserError(f"{what}: {' '.join(str(error).split())}") from None


def _read(repo: Any, stage: Any) -> Iterator[tuple[str, list[Any]]]:
    """The paths that a stage reads, within the checkout if they are there, and the outputs of which each is part, or
    which are part of it."""
    from dvc.dependency import ParamsDependency
    from dvc.exceptions import OutputNotFoundError

    for dependency in stage.deps:
        if not isinstance(dependency, ParamsDependency):
            outs = []
            with contextlib.suppress(OutputNotFoundError):
                outs = repo.find_outs_by_path(dependency.fs_path, recursive=True, strict=False)
            yield dependency.def_path, outs


def _files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def _whole(transferred: Any) -> None:
    """Raises `OSError` unless all has been transferred."""
    if transferred.failed:
        raise OSError(f"{len(transferred.failed)} files could not be transferred")


if __name__ == "__main__":
    errors.run(main)
