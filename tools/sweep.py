"""Sweeps: experiments for each combination of values, checked before any is queued."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from stages.check import params
from stages.settings import yaml12
from stages.settings.corpus import Corpus
from stages.settings.reading import PARAMS
from stages.shared import tables
from stages.shared.errors import UserError
from tools import tidy
from tools.git import TELL_GIT, git, identity
from tools.graph import GRAPH, LOCK, stages

# What DVC keeps where its experiments' checkouts lie.
OF_DVC = ("cache", "celery", "run", "rwlock", "rwlock.lock", "standalone")


class Sweep(NamedTuple):
    """The overrides of each experiment, and what they name beside the checkout: what `../<name>` leads to."""

    runs: list[list[str]]
    beside: set[str]


def combinations(text: str, settings: list[str]) -> Sweep:
    """What `settings` ask for, upon params.yaml's `text`.

    Raises `UserError` for what is no KEY=A,B, a key that params.yaml lacks, a value that does not fit, or a file that
    the experiment would not see.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
    from hydra.errors import HydraException

    tree, beside = yaml12.parse(text), set[str]()
    for setting in settings:
        _check_key(setting, tree)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PARAMS
        try:
            runs = [run[str(file)] for run in get_hydra_sweeps({str(file): settings})]
            for run in runs:
                file.write_text(text, encoding="utf-8")
                apply_overrides(file, run)  # what DVC does
                beside |= _check_params(file, run)
        except (DvcException, HydraException) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise UserError(
                f"{' '.join(settings)!r} is no sweep ({reason}): write KEY=A,B, with quotes around a value that has "
                "commas, blanks or colons"
            ) from None
    return Sweep(runs, beside)


def check_identity() -> None:
    """Raise `UserError` if Git does not know whose commits DVC is to make, of each experiment."""
    if not identity():
        raise UserError(f"DVC keeps each experiment as a commit, and Git does not know who you are: {TELL_GIT}")


def queue(settings: list[str], beside: set[str]) -> None:
    """Have DVC queue the experiments; it keeps params.yaml, and all that Git knows, as they are now, and finds what
    lies `beside` the checkout.

    Without what dvc.lock says of folders that DVC's cache lacks, as in a fresh clone: an experiment that takes a stage
    from the run-cache looks for files in such a folder, and fails ("failed to load directory", dvc 3.67).
    """
    _show(beside)
    options = [word for setting in settings for word in ("-S", setting)]
    with _lock_without(_unknown()):
        done = subprocess.run([sys.executable, "-m", "dvc", "exp", "run", "--queue", *options], check=False)
    if done.returncode:
        raise UserError("DVC did not queue all experiments, and says why above; params.yaml holds the study")


def _show(beside: set[str]) -> None:
    """Have `../<name>` lead a queued experiment, whose checkout lies in a folder of DVC's, where it leads this one."""
    if not beside:
        return
    from dvc.repo import Repo
    from dvc.repo.experiments.utils import EXEC_TMP_DIR

    folder = Path(str(Repo().tmp_dir)) / EXEC_TMP_DIR
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(beside):
        link, target = folder / name, Path("..", name).resolve()
        # One that is right stays, for experiments may be reading through it.
        if link.is_symlink() and link.resolve() == target:
            continue
        draft = folder / f"{name}.{os.getpid()}"
        try:
            draft.symlink_to(target, target_is_directory=target.is_dir())
            draft.replace(link)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise UserError(
                f"{link} cannot lead queued experiments to ../{name} ({error.strerror}): write absolute paths"
            ) from None


def _unknown() -> list[str]:
    """The stages of dvc.lock with an output that is a folder of which DVC's cache knows nothing."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        cache = Repo().cache.local
    except NotDvcRepoError:
        return []
    locked = yaml12.load(LOCK)["stages"] if LOCK.is_file() else {}
    digests = {name: [str(out.get("md5", "")) for out in stage.get("outs", [])] for name, stage in locked.items()}
    return [name for name, own in digests.items() if any(d.endswith(".dir") and not cache.exists(d) for d in own)]


@contextmanager
def _lock_without(stages: list[str]) -> Iterator[None]:
    """dvc.lock without these stages, and as it was afterwards."""
    if not stages:
        yield
        return
    text = LOCK.read_text(encoding="utf-8")
    tidy.drop(stages)
    try:
        yield
    finally:
        tables.write_text(text, LOCK)


def _check_key(setting: str, tree: Any) -> None:
    """Raise `UserError` unless `setting` is KEY=... of a key that `tree` has; `+KEY` is new, `~KEY` goes."""
    found = re.match(r"(\+\+?|~)?([^=\s]+)=", setting) or re.match(r"(~)(\S+)$", setting)
    if not found:
        raise UserError(f"{setting!r} is no KEY=A,B: write one, in quotes if a value has blanks")
    added, key = found.groups()
    for part in key.split("."):
        known = list(tree) if isinstance(tree, dict) else []
        if part not in known and not (added or "").startswith("+"):
            close = difflib.get_close_matches(part, known, n=1)
            meant = f" (did you mean {close[0]}?)" if close else ""
            raise UserError(f"params.yaml has no {key}{meant}: nothing was queued")
        tree = tree.get(part) if isinstance(tree, dict) else None


def _check_params(file: Path, run: list[str]) -> set[str]:
    """What an experiment's params name beside the checkout; raises `UserError` if they do not fit, or name
    files that it would not see."""
    try:
        found = params.load(file)
    except UserError as error:
        raise UserError(f"with {' '.join(run)}, {str(error).replace(str(file), str(PARAMS))}") from None
    named = {
        "corpus.path": found.corpus.path,
        **_datasets(found.corpus),
        "llm.recorded": found.llm.recorded,
        "base.name": found.base.name,
        "teacher.name": found.teacher.name,
        **{f"benchmarks.{name}.path": benchmark.path for name, benchmark in found.benchmarks.items()},
        **{f"lexicons.{name}.path": lexicon.path for name, lexicon in found.lexicons.items()},
        **{f"indexes.{name}.path": index.path for name, index in found.indexes.items()},
        **{f"indexes.{name}.model": index.model for name, index in found.indexes.items()},
    }
    beside = set()
    for key, path in named.items():
        parts = Path(path).parts
        if Path(path).is_absolute() or not Path(path).exists() or _carried(path):
            continue
        if len(parts) > 1 and parts[0] == ".." and parts[1] not in ("..", *OF_DVC):
            beside.add(parts[1])
        else:
            raise UserError(
                f"{key} is {path}, which queued experiments do not see, since each runs in a checkout of what Git and "
                f"DVC have: write {Path(path).resolve()}, or `git add` it"
            )
    return beside


def _datasets(corpus: Corpus) -> dict[str, str]:
    """What may be a folder of a data set, by the key that names it."""
    named = {"corpus.dataset": corpus.dataset}
    if corpus.labelled:
        tables = corpus.labelled.tables.items()
        named |= {f"corpus.labelled.tables.{name}.dataset": table.dataset for name, table in tables}
    return {f"{key}.name": dataset.name for key, dataset in named.items() if dataset and dataset.name}


def _carried(path: str) -> bool:
    """Whether a checkout of its own would have `path`: Git knows it, or a stage makes it."""
    graph = stages(GRAPH.read_text(encoding="utf-8"))
    made = [out.partition("/${")[0] for stage in graph.values() for out in stage.get("outs", [])]
    known = git("ls-files", "--error-unmatch", "--", path) is not None
    # A folder of tables that are outputs one by one is made, too.
    return known or any(Path(path).is_relative_to(out) or Path(out).is_relative_to(path) for out in made)
