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
    return kept(TransformerEncoder(model, batch_size), identity(settings, record), record), record


def identity(settings: PretrainedEncoder, record: dict[str, Any]) -> str:
    """Which model it is that `settings` name: the content of its folder, or its name and commit."""
    folder = Path(settings.name)
    return files.content(folder) if folder.is_dir() else f"{settings.name} {record['revision']}"


def run(record: dict[str, Any]) -> dict[str, Any]:
    """What a record says of how a model is run: all but which one it is and its prompts, which are keys of their own,
    and that its pooling is assumed, which changes no vector."""
    apart = ("name", "revision", "prompts", "pooling_assumed")
    return {trait: value for trait, value in record.items() if trait not in apart}


def kept(loaded: TransformerEncoder, identity: str, record: dict[str, Any]) -> KeptBlocks:
    """`loaded` with its vectors kept. `identity` says which model it is, and `record` how it is run."""
    model = loaded.model
    prompts = {role: model.prompts.get(name) or "" for role, name in PROMPT_NAMES.items()}
    # Batches are part of it: a text's last bits depend on what it is padded with. So are the tokens around a text: a
    # preset may add to those of the model's files.
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    around = backend.encode("a").ids if backend else None
    return KeptBlocks(lambda: loaded, [identity, run(record), loaded.batch_size, around], prompts)
