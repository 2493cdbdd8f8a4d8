"""Keys and values of `params.yaml` that have new names: an old one gets a sentence that says the new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.shared.errors import UserError

RENAMED_KEYS = {"base.normalize": "base.query_normalizer"}
# Of the members of groups whose names are a study's own.
RENAMED_IN_MEMBERS = dict.fromkeys(
    (("recipes", "hybrid"), ("rerankers", "hybrid")),
    "batches, {scheme: hybrid, alpha: 0.5} for 0.5",
)
RENAMED_VALUES = {("corpus.queries", "held-out-lead"): "inverse-cloze"}


def refuse_old(found: Any, path: Path) -> None:
    """Raise `UserError`, a sentence for each old name in `found`, which is what `path` holds."""
    if sentences := list(_renamed(found)):
        raise UserError("\n".join(f"{path}: {sentence}" for sentence in sentences))


def _renamed(found: Any) -> Iterator[str]:
    for old, new in RENAMED_KEYS.items():
        group, key = _group(found, old)
        if key in group:
            yield f"{old} is now {new}: rename it"
    for (name, old), new in RENAMED_IN_MEMBERS.items():
        members = found.get(name) if isinstance(found, dict) else None
        for member, settings in members.items() if isinstance(members, dict) else ():
            if isinstance(settings, dict) and old in settings:
                yield f"{name}.{member}.{old} is now {new}: write that"
    for (name, old), new in RENAMED_VALUES.items():
        group, key = _group(found, name)
        if group.get(key) == old:
            yield f"{name} {old} is now {new}: write that"


def _group(found: Any, name: str) -> tuple[dict[str, Any], str]:
    *groups, key = name.split(".")
    for group in groups:
        found = found.get(group) if isinstance(found, dict) else None
    return (found if isinstance(found, dict) else {}), key
