"""A pretrained base: any sentence-transformers or transformers encoder, from a hub or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

from stages.shared.encoder import PROMPT_NAMES
from stages.shared.errors import UserError
from stages.shared.params import Base


def load(base: Base) -> SentenceTransformer:
    """The model with what `base` sets (pooling, prompts, length, dtype); raises `UserError` if it cannot be had."""
    where = Path(base.name)
    if base.name.startswith((".", "/")) and not where.is_dir():
        raise UserError(f"base.name is {base.name!r}, which is no folder: name a hub id, a folder or static")
    try:
        model = SentenceTransformer(
            base.name,
            revision=base.revision,
            trust_remote_code=base.trust_remote_code,
            # Weights are read from safetensors alone: other files may hold pickles.
            model_kwargs={"torch_dtype": base.dtype, "use_safetensors": True},
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"base.name {base.name!r}{f' at {base.revision}' if base.revision else ''} cannot be loaded: {reason}"
        ) from None
    if base.pooling:
        _set_pooling(model, base)
    if base.prompts:
        model.prompts = {
            PROMPT_NAMES["query"]: base.prompts.query,
            PROMPT_NAMES["passage"]: base.prompts.passage,
        }
        model.default_prompt_name = None
    if base.max_length:
        _set_length(model, base)
    return model.to(dtype=_dtype(base.dtype))


def _set_pooling(model: SentenceTransformer, base: Base) -> None:
    places = [name for name, module in model.named_children() if isinstance(module, Pooling)]
    if not places:
        raise UserError(f"base.pooling is {base.pooling!r}, but {base.name} does not pool tokens: write null")
    dimension = model._modules[places[0]].get_embedding_dimension()  # type: ignore[operator]
    model._modules[places[0]] = Pooling(dimension, pooling_mode=base.pooling)


def _set_length(model: SentenceTransformer, base: Base) -> None:
    module: Any = model[0]
    if not isinstance(module, Transformer):
        raise UserError(f"base.max_length is {base.max_length}, but {base.name} reads texts of any length: write null")
    limit = getattr(module.model.config, "max_position_embeddings", None)
    if limit and base.max_length and base.max_length > limit:
        raise UserError(f"base.max_length is {base.max_length}, but {base.name} has {limit} positions: lower it")
    module.max_seq_length = base.max_length


def _dtype(name: str) -> Any:
    import torch

    return getattr(torch, name)
