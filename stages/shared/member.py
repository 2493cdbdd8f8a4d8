"""Which member of its group a stage runs for: the recipe of `train`, the merge of `merge`.

DVC says it in the environment. In the stage's command a name would come before a shell, which runs what a name may
hold, and before anything has looked at it.
"""

from __future__ import annotations

import os
import re
import sys

from stages.settings.types import checked_name
from stages.shared.errors import UserError


def name(stage: str, *kind: str) -> str:
    """The member that `python -m stages.STAGE [KIND] [NAME]` is run for: NAME, if it is run by hand, else the one of
    DVC_STAGE, which is `STAGE[-KIND]@NAME`, after `<path>/dvc.yaml:` where DVC is started elsewhere.

    Raises `UserError` if there is neither, if DVC_STAGE is of another stage, or for what can be no name.
    """
    given = sys.argv[1 + len(kind) :]
    if len(given) > 1:
        raise UserError(f"{' '.join(given)!r} is more than one name: name one")
    found = given[0] if given else _named_by_dvc("-".join((stage, *kind)))
    if found is None:
        raise UserError(
            f"which one? Run `dvc repro {'-'.join((stage, *kind))}`, or name one: "
            f"python -m stages.{' '.join((stage, *kind))} NAME"
        )
    try:
        return checked_name(found)
    except ValueError as error:
        raise UserError(f"stages.{stage}: {error}") from None


def _named_by_dvc(stage: str) -> str | None:
    # A path comes second: a name may look like one.
    own = f"{re.escape(stage)}@"
    found = re.fullmatch(rf"(?:{own}|.*?dvc\.yaml:{own})(.*)", os.environ.get("DVC_STAGE", ""), re.DOTALL)
    return found[1] if found else None
