"""A published encoder as a reference: from the hub, a folder, or a package."""

from __future__ import annotations

from typing import Any

from stages.settings.references import Reference
from stages.shared.errors import UserError
from stages.shared.vectors import published
from stages.shared.vectors.blocks import KeptBlocks


def load(reference: Reference, key: str, batch_size: int) -> tuple[KeptBlocks, dict[str, Any]]:
    """As `published.load`; of a reference the name is in `encoder`."""
    try:
        return published.load(reference.pretrained, key, batch_size)
    except UserError as error:
        raise UserError(str(error).replace(f"{key}.name", f"{key}.encoder")) from None
