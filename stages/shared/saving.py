"""Models to folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer


def save(model: SentenceTransformer | CrossEncoder, folder: Path) -> None:
    """Save as safetensors, without the model card sentence-transformers writes (it holds dates)."""
    tokenizer = model.tokenizer
    if hasattr(tokenizer, "backend_tokenizer"):
        # tokenizer.json would hold how the last batch was cut and padded, and no file the side that was set.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.init_kwargs["padding_side"] = tokenizer.padding_side
    model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
