"""python -m stages.study NAME [--queue KEY=A,B ...]: apply the overlay studies/NAME.yaml to params.yaml.

An overlay holds only what differs from the default study: groups are merged key by key, anything else is replaced, and
`null` for a named data set, strategy, recipe, merge or benchmark removes it. Comments stay; `git checkout params.yaml`
returns.

With --queue, each combination of the values is a DVC experiment, to be run by `dvc queue start`; values are written as
for `dvc exp run -S`.
"""

from __future__ import annotations

import argparse
import difflib
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from stages import tidy
from stages.shared import errors, params, tables, yaml12
from stages.shared.errors import UserError

STUDIES = Path("studies")
GRAPH = Path("dvc.yaml")
# Groups whose members are named by the study, so that an overlay may remove one.
NAMED = ("fetch", "negatives", "recipes", "merges", "benchmarks", "indexes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.study")
    parser.add_argument("name", nargs="?")
    parser.add_argument("--queue", nargs="+", default=[], metavar="KEY=A,B", help="queue an experiment for each value")
    arguments = parser.parse_args()
    # make hands over all settings as one text; blanks within quotes are a value's own.
    settings = [s for text in arguments.queue for s in re.findall(r"""(?:'[^']*'|"[^"]*"|\S)+""", text)]
    file, overlay = read(arguments.name)
    committed = _committed()
    text, changes = merged(committed, overlay)
    if params.PARAMS.read_text(encoding="utf-8") not in (committed, text):
        raise UserError(
            "params.yaml has edits that are not committed: commit them, or drop them with `git checkout params.yaml`"
        )
    params.validate(yaml.load(text, yaml12.Loader), file)
    runs = combinations(text, settings) if settings else []
    tables.write_text(text, params.PARAMS)
    for key, (old, new) in changes.items():
        print(f"{key}: {old} -> {new}")
    print(f"{len(changes)} keys changed; `git checkout params.yaml` returns to the default study")
    if runs:
        queue(settings)
        print(f"{len(runs)} experiments queued. To run them, and to set the finished ones side by side:")
        print("  dvc queue start\n  python -m stages.compare --experiments")


def read(name: str | None) -> tuple[Path, dict]:
    """The overlay `name` and its file; raises `UserError`."""
    known = ", ".join(sorted(f.stem for f in STUDIES.glob("*.yaml")))
    if name is None:
        raise UserError(f"name one study: {known}")
    file = STUDIES / f"{name}.yaml"
    if not file.is_file():
        raise UserError(f"there is no {file}: the studies are {known}")
    try:
        overlay = yaml12.load(file)
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(overlay, dict):
        raise UserError(f"{file} must hold groups of keys, as params.yaml does")
    return file, overlay


def merged(text: str, overlay: dict) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """`text` of params.yaml with the overlay applied, and {key: (old, new)} for the keys whose values changed."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 120
    # `null` as params.yaml writes it, where ruamel.yaml would leave the value out.
    writer.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    tree = writer.load(text)
    changes = apply(tree, overlay)
    written = io.StringIO()
    writer.dump(tree, written)
    return written.getvalue(), changes


def apply(tree: CommentedMap, overlay: dict, path: tuple[str, ...] = ()) -> dict[str, tuple[Any, Any]]:
    """Change `tree` in place; return {key: (old, new)} for the keys whose values changed."""
    changes: dict[str, tuple[Any, Any]] = {}
    for key, value in overlay.items():
        here = (*path, key)
        old = tree.get(key, "absent")
        if path and path[0] in NAMED and len(path) == 1 and value is None:
            if key in tree:
                del tree[key]
                changes[".".join(here)] = (_plain(old), "removed")
        elif isinstance(value, dict) and isinstance(old, CommentedMap):
            changes |= apply(old, value, here)
        elif old != value:
            tree[key] = _styled(value)
            changes[".".join(here)] = (_plain(old), value)
    return changes


def combinations(text: str, settings: list[str]) -> list[list[str]]:
    """The overrides of each experiment that `settings` ask for, upon params.yaml's `text`.

    Raises `UserError` for what is no KEY=A,B, a key that params.yaml lacks, a value that does not fit, or a file that
    the experiment would not see.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
    from hydra.errors import HydraException

    for setting in settings:
        _check_key(setting, yaml.load(text, yaml12.Loader))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / params.PARAMS
        try:
            runs = [run[str(file)] for run in get_hydra_sweeps({str(file): settings})]
            for run in runs:
                file.write_text(text, encoding="utf-8")
                apply_overrides(file, run)  # what DVC does
                _check_params(file, run)
        except (DvcException, HydraException) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise UserError(
                f"{' '.join(settings)!r} is no sweep ({reason}): write KEY=A,B, with quotes around a value that has "
                "commas, blanks or colons"
            ) from None
    return runs


def queue(settings: list[str]) -> None:
    """Have DVC queue the experiments; it keeps params.yaml, and all that Git knows, as they are now.

    Without what dvc.lock says of folders that DVC's cache lacks, as in a fresh clone: an experiment that takes a stage
    from the run-cache looks for files in such a folder, and fails ("failed to load directory", dvc 3.67).
    """
    options = [word for setting in settings for word in ("-S", setting)]
    with _lock_without(_unknown()):
        done = subprocess.run([sys.executable, "-m", "dvc", "exp", "run", "--queue", *options], check=False)
    if done.returncode:
        raise UserError("DVC did not queue all experiments, and says why above; params.yaml holds the study")


def _unknown() -> list[str]:
    """The stages of dvc.lock with an output that is a folder of which DVC's cache knows nothing."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        cache = Repo().cache.local
    except NotDvcRepoError:
        return []
    stages = yaml12.load(tidy.LOCK)["stages"] if tidy.LOCK.is_file() else {}
    digests = {name: [str(out.get("md5", "")) for out in stage.get("outs", [])] for name, stage in stages.items()}
    return [name for name, own in digests.items() if any(d.endswith(".dir") and not cache.exists(d) for d in own)]


@contextmanager
def _lock_without(stages: list[str]) -> Iterator[None]:
    """dvc.lock without these stages, and as it was afterwards."""
    if not stages:
        yield
        return
    text = tidy.LOCK.read_text(encoding="utf-8")
    tidy.drop(stages)
    try:
        yield
    finally:
        tables.write_text(text, tidy.LOCK)


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


def _check_params(file: Path, run: list[str]) -> None:
    """Raise `UserError` if an experiment's params do not fit, or name files that it would not see."""
    try:
        found = params.load(file)
    except UserError as error:
        raise UserError(f"with {' '.join(run)}, {str(error).replace(str(file), str(params.PARAMS))}") from None
    named = {
        "corpus.path": found.corpus.path,
        "llm.recorded": found.llm.recorded,
        "base.name": found.base.name,
        "teacher.name": found.teacher.name,
        **{f"benchmarks.{name}.path": benchmark.path for name, benchmark in found.benchmarks.items()},
        **{f"indexes.{name}.path": index.path for name, index in found.indexes.items()},
    }
    for key, path in named.items():
        if not Path(path).is_absolute() and Path(path).exists() and not _carried(path):
            raise UserError(
                f"{key} is {path}, which queued experiments do not see, since each runs in a checkout of what Git and "
                f"DVC have: write {Path(path).resolve()}, or `git add` it"
            )


def _carried(path: str) -> bool:
    """Whether a checkout of its own would have `path`: Git knows it, or a stage makes it."""
    stages = yaml12.load(GRAPH)["stages"].values()
    made = [out.partition("/${")[0] for stage in stages for out in stage.get("do", stage).get("outs", [])]
    known = _git("ls-files", "--error-unmatch", "--", path) is not None
    return known or any(Path(path).is_relative_to(out) for out in made)


def _committed() -> str:
    """params.yaml as it is committed."""
    text = _git("show", f"HEAD:./{params.PARAMS}")
    if text is None:
        raise UserError("params.yaml is not in Git, so the way back would be lost: run in a clone of the repository")
    return text


def _git(*arguments: str) -> str | None:
    """What Git prints; None if it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 else None


def _styled(value: Any) -> Any:
    """New mappings and lists on one line, as params.yaml writes them."""
    if isinstance(value, dict):
        styled = CommentedMap({key: _styled(item) for key, item in value.items()})
        styled.fa.set_flow_style()
        return styled
    return value


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    errors.run(main)
