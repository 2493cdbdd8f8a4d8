"""`params.yaml` as a whole: every group, and what no single key shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.check.contradictions import contradictions
from stages.check.groups import Params
from stages.check.renamed import refuse_old
from stages.settings.reading import PARAMS, tree, validated
from stages.shared.errors import UserError


def load(path: Path = PARAMS) -> Params:
    """Read and validate the whole file; raises `UserError`."""
    return validate(tree(path), path)


def validate(found: Any, path: Path = PARAMS) -> Params:
    """`found` as typed params; raises `UserError` naming each key that is wrong and its mend."""
    refuse_old(found, path)
    params: Params = validated(found, Params, path, [])
    if mistakes := list(contradictions(params)):
        raise UserError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return params
