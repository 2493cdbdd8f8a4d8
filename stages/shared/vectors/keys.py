"""Where vectors are kept, and under which name they are found again: a digest of all that shaped them.

`.state/vectors/blocks/<identity>/<block of texts>.npz`, `.state/vectors/texts/<identity>.sqlite` and, of frozen layers,
`.state/vectors/states/<identity>/<some texts>.safetensors`. An identity is the content of the model's folder (prompts,
the query normaliser and its version included), how it is run, the role of the texts, and the versions of the libraries
that encode. A change of this project's own code of encoding must raise `VECTORS_VERSION`, and one of the normaliser's
`query_normalizer.NORMALIZER_VERSION`.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages.shared.state import STATE

# Of how vectors are made and stored; another number begins anew.
VECTORS_VERSION = 1

# Whose versions may change a vector's last bits.
LIBRARIES = ("torch", "transformers", "sentence-transformers")


def place(kind: str, identity: list[Any]) -> Path:
    """Where the vectors of this `identity` (JSON) are, among those kept as `kind` says."""
    libraries = [version(name) for name in LIBRARIES]
    return STATE / "vectors" / kind / digest(json.dumps([VECTORS_VERSION, libraries, identity], sort_keys=True)).hex()


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
