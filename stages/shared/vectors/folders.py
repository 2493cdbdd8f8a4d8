"""The study's own models, their vectors kept by the content of a model's folder and how it is run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from stages.settings.freeze import Freeze
from stages.shared import encoder, files
from stages.shared.roles import TokenEncoder
from stages.shared.vectors.blocks import KeptBlocks


def load(
    folder: Path, batch_size: int, freeze: Freeze | None = None, trust_remote_code: bool = False
) -> KeptBlocks | TokenEncoder:
    """The encoder in `folder`, as `encoder.load`; a static one as it is, which encodes faster than kept vectors are
    read."""
    read = partial(encoder.load, folder, batch_size, trust_remote_code=trust_remote_code, freeze=freeze)
    if encoder.is_static(folder):
        return read()
    # Through a shared trunk the last bits of vectors are others.
    cut = [freeze.layers, freeze.precision] if freeze and freeze.is_trunk else []
    return KeptBlocks(read, [files.content(folder), batch_size, *cut])
