"""Overlays: what a study of studies/ changes in params.yaml.

An overlay holds only what differs. Groups are merged key by key, and anything else is replaced; `null` for a named
member of a group (a recipe, a benchmark, ...: NAMED) removes it. A group tagged `!only` takes the place of the one that
is there: its members are the only ones, whatever the default has or will have.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.representer import RoundTripRepresenter

from stages.settings import yaml12
from stages.shared.errors import UserError

STUDIES = Path("studies")
# Groups whose members are named by the study, so that an overlay may remove one.
NAMED = (
    *("fetch", "domains", "negatives", "lexicons", "codeswitch", "recipes", "rerankers", "merges"),
    *("benchmarks", "references", "translated", "fusions", "rerank", "indexes"),
)


class Only(dict):
    """A group that replaces the one that is there."""


class OverlayLoader(yaml12.Loader):
    """That of params.yaml, with `!only`."""


def _only(loader: OverlayLoader, node: yaml.Node) -> Only:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(
            None, None, f"line {node.start_mark.line + 1}: !only marks a group of keys, and this is none"
        )
    return Only(yaml12.mapping(loader, node))


OverlayLoader.add_constructor("!only", _only)


def read(name: str | None) -> tuple[Path, dict]:
    """The overlay `name` and its file; raises `UserError`."""
    known = {found.stem: found for found in sorted(STUDIES.glob("*.yaml"))}
    if name is None:
        raise UserError(f"name one study: {', '.join(known)}")
    if name not in known:  # nor may it lead out of the folder
        raise UserError(f"there is no {STUDIES / name}.yaml: the studies are {', '.join(known)}")
    file = known[name]
    try:
        overlay = yaml12.parse(file.read_text(encoding="utf-8"), OverlayLoader)
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {getattr(error, 'problem', error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8: save it as UTF-8") from None
    if isinstance(overlay, Only):
        raise UserError(f"{file}: !only marks a group, and not the whole file: remove it")
    if not isinstance(overlay, dict):
        raise UserError(f"{file} must hold groups of keys, as params.yaml does")
    return file, overlay


class _Representer(RoundTripRepresenter):
    """With `null` as params.yaml writes it, where ruamel.yaml would leave the value out. A class of its own: the one
    it extends is also DVC's."""


_Representer.add_representer(
    type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def merged(text: str, overlay: dict) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """`text` of params.yaml with the overlay applied, and {key: (old, new)} for the keys whose values changed."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 120
    writer.Representer = _Representer
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
            changes |= _removed(tree, key, here)
        elif isinstance(value, Only) and isinstance(old, CommentedMap):
            for gone in [name for name in old if name not in value]:
                changes |= _removed(old, gone, (*here, gone))
            for name, member in value.items():
                changes |= _set(old, name, member, (*here, name))
        elif isinstance(value, dict) and isinstance(old, CommentedMap):
            changes |= apply(old, value, here)
        else:
            changes |= _set(tree, key, value, here)
    return changes


def _set(tree: CommentedMap, key: str, value: Any, path: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    old = tree.get(key, "absent")
    if old == value:
        return {}
    tree[key] = _styled(value)
    return {".".join(path): (_plain(old), _plain(value))}


def _removed(tree: CommentedMap, key: str, path: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    if key not in tree:
        return {}
    old = _plain(tree[key])
    del tree[key]
    return {".".join(path): (old, "removed")}


def _styled(value: Any) -> Any:
    """New mappings and lists on one line, as params.yaml writes them."""
    if isinstance(value, dict):
        styled = CommentedMap({key: _styled(item) for key, item in value.items()})
        styled.fa.set_flow_style()
        return styled
    return value


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
