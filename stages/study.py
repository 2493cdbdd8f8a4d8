"""python -m stages.study NAME: apply the overlay studies/NAME.yaml to params.yaml, keeping its comments.

An overlay holds only what differs from the default study: groups are merged key by key, anything else is replaced, and
`null` for a named strategy, recipe, merge or benchmark removes it. `git checkout params.yaml` returns.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from stages.shared import errors, params, tables, yaml12
from stages.shared.errors import UserError

STUDIES = Path("studies")
# Groups whose members are named by the study, so that an overlay may remove one.
NAMED = ("negatives", "recipes", "merges", "benchmarks")


def main() -> None:
    known = ", ".join(sorted(f.stem for f in STUDIES.glob("*.yaml")))
    if len(sys.argv) != 2:
        raise UserError(f"name one study: {known}")
    name = sys.argv[1]
    file = STUDIES / f"{name}.yaml"
    if not file.is_file():
        raise UserError(f"there is no {file}: the studies are {known}")
    try:
        overlay = yaml12.load(file)
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(overlay, dict):
        raise UserError(f"{file} must hold groups of keys, as params.yaml does")
    if _edited():
        raise UserError(
            "params.yaml has edits that are not committed: commit them, or drop them with `git checkout params.yaml`"
        )
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 120
    # `null` as params.yaml writes it, where ruamel.yaml would leave the value out.
    writer.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    text = params.PARAMS.read_text(encoding="utf-8")
    tree = writer.load(text)
    changes = apply(tree, overlay)
    with tables.replacing(params.PARAMS) as draft:
        with draft.open("w", encoding="utf-8") as opened:
            writer.dump(tree, opened)
        params.validate(yaml12.load(draft), file)
    for key, (old, new) in changes.items():
        print(f"{key}: {old} -> {new}")
    print(f"{len(changes)} keys changed; `git checkout params.yaml` returns to the default study")


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


def _styled(value: Any) -> Any:
    """New mappings and lists on one line, as params.yaml writes them."""
    if isinstance(value, dict):
        styled = CommentedMap({key: _styled(item) for key, item in value.items()})
        styled.fa.set_flow_style()
        return styled
    return value


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _edited() -> bool:
    def git(*arguments: str) -> int:
        return subprocess.run(["git", *arguments], capture_output=True, check=False).returncode

    # `git diff` alone has nothing to say of a file that Git does not know, or of a folder that is no repository.
    if git("cat-file", "-e", f"HEAD:./{params.PARAMS}"):
        raise UserError("params.yaml is not in Git, so the way back would be lost: run in a clone of the repository")
    return git("diff", "--quiet", "HEAD", "--", str(params.PARAMS)) != 0


if __name__ == "__main__":
    errors.run(main)
