"""What a tokenizer knows of texts, and what a smaller vocabulary does to them: which of their tokens are unknown, and
which are others now."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from stages.shared.errors import UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)
# Texts whose tokens memory holds at once.
AT_ONCE = 4096
# Texts of a language by which is told what is unknown in it.
TOLD_BY = 4096
# The share of a language's tokens that is unknown of which it is warned, and that in all languages which is refused.
MUCH_UNKNOWN, NEARLY_ALL_UNKNOWN = 0.05, 0.9
# For a checkpoint without a tokenizer's files transformers makes up one of special tokens alone, 104 of them at most.
MADE_UP = 256


def check(model: SentenceTransformer, name: str, has: Callable[[str], bool]) -> None:
    """Raise `UserError` if the tokenizer of `model`, which `name` says what it is, is made up, or gives ids that its
    table has no rows for. `has` says whether the model has a file of a name."""
    first: Any = model[0]
    tokenizer: Any = getattr(first, "tokenizer", None)
    if not hasattr(tokenizer, "get_vocab"):
        return
    vocabulary = tokenizer.get_vocab()
    names = getattr(tokenizer, "vocab_files_names", {})
    # A tokenizer of characters or bytes needs no file.
    if names and len(vocabulary) < MADE_UP and not any(map(has, {*names.values(), "tokenizer.json"})):
        raise UserError(
            f"{name} has no tokenizer (no {' or '.join(sorted({*names.values(), 'tokenizer.json'}))}), and would read "
            "every word as unknown: copy the tokenizer's files from the model that it was trained from"
        )
    if rows := getattr(table(model), "num_embeddings", None):
        fits(vocabulary, rows, name)


def table(model: Any) -> Any:
    """The module that holds the token vectors of `model`, static or a transformer; None, if it has no such table."""
    first = model[0]
    try:
        return first.model.get_input_embeddings() if hasattr(first, "model") else first.embedding
    except (AttributeError, NotImplementedError):
        return None


def fits(vocabulary: Mapping[str, int], rows: int, name: str) -> None:
    """Raise `UserError` if `vocabulary`, {piece: id}, has ids beyond the `rows` of its model's table of embeddings."""
    if vocabulary and (largest := max(vocabulary.values())) >= rows:
        piece = next(piece for piece, number in vocabulary.items() if number == largest)
        raise UserError(
            f"the tokenizer of {name} gives ids up to {largest:,} ({piece!r}), but its table of embeddings has "
            f"{rows:,} rows: save the model again after resize_token_embeddings, or take the added tokens out of the "
            "tokenizer"
        )


def known(tokenizer: Any, texts: Mapping[str, Sequence[str]], name: str) -> dict[str, float]:
    """The share of the tokens of `texts`, by language, that is unknown to `tokenizer` (of tokenizers or transformers),
    to the hundredth.

    A text of which it gives no token counts as an unknown one. Of more than TOLD_BY texts as many are read, at equal
    distances. Much that is unknown is warned of, naming the encoder by `name`; raises `UserError` if nearly all is, in
    every language.
    """
    found = {lang: _share(tokenizer, [text for text in own if text.strip()]) for lang, own in sorted(texts.items())}
    much = {lang: share for lang, share in found.items() if share > MUCH_UNKNOWN}
    told = ", ".join(f"{share:.0%} in {lang}" for lang, share in much.items())
    if found and min(found.values()) > NEARLY_ALL_UNKNOWN:
        raise UserError(
            f"{name} knows nearly nothing of the texts: of their tokens {told} are unknown to its tokenizer: name an "
            "encoder of these languages, or copy the tokenizer that it was trained with"
        )
    if much:
        log.warning(f"{name}: of the tokens {told} are unknown to its tokenizer, so that its vectors tell little there")
    return found


def _share(tokenizer: Any, texts: Sequence[str]) -> float:
    some = [texts[at * len(texts) // TOLD_BY] for at in range(TOLD_BY)] if len(texts) > TOLD_BY else list(texts)
    if isinstance(tokenizer, Tokenizer):
        lacking = _unknown(tokenizer)
        read = [found.ids for found in tokenizer.encode_batch_fast(some, add_special_tokens=False)]
    else:
        lacking = tokenizer.unk_token_id
        read = tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"] if some else []
    unknown = sum(sum(number == lacking for number in ids) if ids else 1 for ids in read)
    return round(unknown / max(1, sum(max(1, len(ids)) for ids in read)), 2)


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
