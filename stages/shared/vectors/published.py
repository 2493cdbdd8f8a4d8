"""Published encoders whose vectors are kept: the teacher's, and those of references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.settings.encoders import PretrainedEncoder
from stages.shared import files
from stages.shared.encoder import TransformerEncoder
from stages.shared.roles import PROMPT_NAMES
from stages.shared.vectors.blocks import KeptBlocks


def load(settings: PretrainedEncoder, key: str, batch_size: int) -> tuple[KeptBlocks, dict[str, Any]]:
    """The encoder that the group `key` of params describes, its vectors kept, and the record of `pretrained.load`."""
    from stages.shared import pretrained

    model, record = pretrained.load(settings, key)
    folder = Path(settings.name)
    identity = files.content(folder) if folder.is_dir() else f"{settings.name} {record['revision']}"
    return kept(TransformerEncoder(model, batch_size), identity, record), record


def kept(loaded: TransformerEncoder, identity: str, record: dict[str, Any]) -> KeptBlocks:
    """`loaded` with its vectors kept. `identity` says which model it is, and `record` how it is run."""
    model = loaded.model
    prompts = {role: model.prompts.get(name) or "" for role, name in PROMPT_NAMES.items()}
    run = {trait: value for trait, value in record.items() if trait not in ("name", "revision", "prompts")}
    # Batches are part of it: a text's last bits depend on what it is padded with. So are the tokens around a text: a
    # preset may add to those of the model's files.
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    around = backend.encode("a").ids if backend else None
    return KeptBlocks(lambda: loaded, [identity, run, loaded.batch_size, around], prompts)
