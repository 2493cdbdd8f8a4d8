"""What a smaller vocabulary does to texts: which of their tokens are others now, and which are unknown."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Tokenizer

# Texts whose tokens memory holds at once.
AT_ONCE = 4096


def shares(whole: Tokenizer, cut: Tokenizer, texts: Sequence[str]) -> dict[str, float]:
    """Of the tokens that the pieces of `whole` give of `texts`: their number, and the share that the pieces of `cut`
    change; of the tokens of those: the share that is unknown and was not. Equal tokens have one text and place."""
    tokens = changed = given = unknown = 0
    lacking = _unknown(cut)
    for at in range(0, len(texts), AT_ONCE):
        encoded = [t.encode_batch(list(texts[at : at + AT_ONCE]), add_special_tokens=False) for t in (whole, cut)]
        for before, after in zip(*encoded, strict=True):
            old, new = (list(zip(found.offsets, found.tokens, strict=True)) for found in (before, after))
            kept = set(old) & set(new)
            tokens, changed = tokens + len(old), changed + sum(token not in kept for token in old)
            given += len(new)
            unknown += sum(
                number == lacking and token not in kept for number, token in zip(after.ids, new, strict=True)
            )
    return {
        "tokens": tokens,
        "changed": round(changed / max(1, tokens), 5),
        "unknown": round(unknown / max(1, given), 5),
    }


def _unknown(tokenizer: Tokenizer) -> int | None:
    """The id of what the vocabulary lacks; None: it lacks nothing (bytes are pieces)."""
    model = json.loads(tokenizer.to_str())["model"]
    if model["type"] == "Unigram":
        found: int | None = model["unk_id"]
        return found
    return tokenizer.token_to_id(model["unk_token"]) if model["unk_token"] else None
