"""Values of `params.yaml`: read with YAML 1.2 rules, typed, and refused with a sentence that names the key.

A stage reads the groups that it declares in `dvc.yaml` and no others; that the whole file is right is for `check` to
say, before any stage runs.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from stages.settings import yaml12
from stages.settings.types import Name
from stages.shared.errors import UserError

PARAMS = Path("params.yaml")


def value(key: str, kind: Any) -> Any:
    """What `params.yaml` has under `key` (`train`, `merges.<name>`, `corpus.split`), as `kind`.

    Raises `UserError`, one sentence a mistake, if the file cannot be read, the key is missing, or its value is no
    `kind`.
    """
    found = tree(PARAMS)
    for part in key.split("."):
        validated(part, Name, PARAMS, [key])  # names become paths
        if not isinstance(found, dict) or part not in found:
            known = list(found) if isinstance(found, dict) else []
            raise UserError(f"{PARAMS} has no {key}{meant(part, known)}")
        found = found[part]
    return validated(found, kind, PARAMS, key.split("."))


def read_names(group: str) -> list[str]:
    """The names in a group of named members (`recipes`, `merges`), whatever is said of each."""
    found = value(group, dict[Name, Any])
    return list(found)


def tree(path: Path) -> Any:
    """The file as it stands; raises `UserError`."""
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{path} is missing here: run from the repository's root") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line} is not YAML: {getattr(error, 'problem', error)}") from None


@lru_cache(maxsize=1)
def _parsed(text: str) -> Any:
    """Parsed once for all groups that a stage reads; nobody changes it."""
    return yaml12.parse(text)


def validated(found: Any, kind: Any, path: Path, at: list[str]) -> Any:
    """`found`, which `path` has under the keys `at`, as `kind`; raises `UserError` naming each key that is wrong and
    its mend."""
    try:
        return TypeAdapter(kind).validate_python(found)
    except ValidationError as error:
        raise UserError("\n".join(_sentence(e, kind, path, at) for e in error.errors())) from None


def _sentence(error: Any, kind: Any, path: Path, at: list[str]) -> str:
    # Pydantic marks a mapping's keys, and `word_or` its choice, with pseudo-parts.
    parts = [str(p) for p in error["loc"] if p not in ("[key]", "word")]
    key = ".".join([*at, *parts])
    what, given = error["type"], error.get("input")
    if what == "extra_forbidden":
        return f"{path}: unknown key {key}{meant(parts[-1], _siblings(kind, parts[:-1]))}: rename or remove it"
    if what == "missing":
        return f"{path}: {key} is missing: add it"
    if what in ("model_type", "model_attributes_type", "dict_type"):
        return f"{path}: {key or 'the file'} must hold a group of keys, but is {given!r}"
    message = error["msg"].removeprefix("Value error, ")
    if what == "value_error":
        return f"{path}: {key + ': ' if key else ''}{message}"
    return f"{path}: {key} is {given!r}: {message[0].lower()}{message[1:]}"


def _siblings(kind: Any, parts: list[str]) -> list[str]:
    """The keys that the group at `parts` of `kind` knows."""
    group: Any = _plain(kind)
    for part in parts:
        if isinstance(group, type) and issubclass(group, BaseModel):
            field = group.model_fields.get(part)
            group = field.annotation if field else None
        else:  # a mapping of names: its values' type
            group = get_args(group)[-1] if get_args(group) else None
        group = _plain(group)
    if not (isinstance(group, type) and issubclass(group, BaseModel)):
        return []
    return [field.alias or name for name, field in group.model_fields.items()]


def _plain(kind: Any) -> Any:
    """Of `X | None`, and of X with constraints, X."""
    while True:
        if hasattr(kind, "__metadata__"):
            kind = get_args(kind)[0]
        elif type(None) in get_args(kind):
            kind = next(option for option in get_args(kind) if option is not type(None))
        else:
            return kind


def meant(word: str, known: list[str]) -> str:
    """What a misspelt word may have meant, in brackets."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
