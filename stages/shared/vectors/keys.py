"""Where vectors are kept, and under which name they are found again: a digest of all that shaped them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from stages.shared.state import STATE

# Of how vectors are made and stored; another number begins anew.
VECTORS_VERSION = 1


def place(kind: str, identity: list[Any]) -> Path:
    """Where the vectors of this `identity` (JSON) are, among those kept as `kind` says."""
    return STATE / "vectors" / kind / digest(json.dumps([VECTORS_VERSION, identity], sort_keys=True)).hex()


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
