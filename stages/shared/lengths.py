"""How many tokens texts have, told before there is much to do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Texts by which the length of all is told.
SAMPLED = 200


def mean_tokens(model: SentenceTransformer, texts: list[str]) -> float | None:
    """The mean length of `texts` in tokens, as `model` cuts them, of a sample of them; None if it has no tokenizer that
    takes texts, as static models."""
    tokenizer: Any = model.tokenizer
    if not texts or not callable(tokenizer):
        return None
    sampled = texts[:: -(-len(texts) // SAMPLED)]
    ids = tokenizer(sampled, truncation=True, max_length=model.max_seq_length)["input_ids"]
    return sum(map(len, ids)) / len(sampled)
