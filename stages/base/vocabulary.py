"""A vocabulary cut to the pieces that a study needs: the others leave tokenizer, table and config.

What is kept, whatever the tokenizer, segments the study's texts as all pieces did:

- Unigram (Kudo 2018): a text's best path stays the best while its pieces stay. The piece of the lowest score stays as
  well, since what is unknown is scored by it.
- BPE (Sennrich et al. 2016): a merge stays if its result does, and with it its two sides; so each step of merging finds
  the same best merge.
- WordPiece and WordLevel: the longest match at a place stays the longest while it is there.

The pieces of special tokens, of bytes, and of single characters of the study's scripts stay in any case. That the texts
are segmented as before is tried, text by text. A piece's id becomes its rank among those kept; rows beyond the
vocabulary, which some tables have, go.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import regex
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding, Transformer
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from stages.shared.errors import UserError
from stages.shared.languages import scripts
from stages.shared.pieces import AT_ONCE

ALGORITHMS = ("Unigram", "BPE", "WordPiece", "WordLevel")
# Seconds before there is a progress bar.
BAR_DELAY = 5
BYTE = regex.compile(r"^<0x[0-9A-F]{2}>$")


def backend(model: SentenceTransformer, key: str) -> Tokenizer:
    """The tokenizer of `model`; raises `UserError` naming `key` if it is none that can be cut."""
    first: Any = model[0]
    found = first.tokenizer if isinstance(first, StaticEmbedding) else getattr(model.tokenizer, "_tokenizer", None)
    if not isinstance(found, Tokenizer):
        raise UserError(
            f"{key}: {type(first).__name__} has no fast tokenizer, whose vocabulary could be cut: name another encoder"
        )
    kind = json.loads(found.to_str())["model"]["type"]
    if kind not in ALGORITHMS:
        raise UserError(f"{key} knows the tokenizers {', '.join(ALGORITHMS)}, not {kind}: name another encoder")
    return found


def whole(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that neither cuts texts off nor pads them."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def counts(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    """How often `texts` use each id."""
    found: Counter[int] = Counter()
    for ids in _encoded(tokenizer, texts):
        found.update(ids)
    return found


def kept(tokenizer: Tokenizer, used: Iterable[int], languages: Iterable[str], whole_scripts: bool = False) -> list[int]:
    """The ids to keep, sorted: the `used` ones, what they are made of, special tokens, bytes, and the single characters
    of the scripts of `languages`, or with `whole_scripts` all pieces in them. (Digits, marks and signs are of all.)"""
    state = json.loads(tokenizer.to_str())
    model = state["model"]
    pieces = _vocabulary(model)
    found = set(used) | {token["id"] for token in state["added_tokens"]} | set(_around(state["post_processor"]))
    if model["type"] == "Unigram":
        found |= {model["unk_id"], min(range(len(model["vocab"])), key=lambda at: model["vocab"][at][1])} - {None}
    elif model["unk_token"]:
        found.add(pieces[model["unk_token"]])
    names = [rf"\p{{Script={script}}}" for lang in languages for script in scripts(lang)]
    written = regex.compile(rf"[{''.join(names)}\p{{Common}}\p{{Inherited}}]*")
    read = _reader(state)

    def stays(text: str | None) -> bool:
        if text is None:
            return whole_scripts
        return (whole_scripts or len(text) <= 1) and written.fullmatch(text) is not None

    found |= {number for piece, number in pieces.items() if stays(read(piece))}
    if model["type"] == "BPE":
        found |= _sides(model, pieces, found)
    return sorted(found)


def cut(tokenizer: Tokenizer, kept: Sequence[int]) -> Tokenizer:
    """The tokenizer of the pieces `kept` alone; a piece's id is its rank there."""
    state = json.loads(tokenizer.to_str())
    model = state["model"]
    number = {old: new for new, old in enumerate(kept)}
    if model["type"] == "Unigram":
        model["vocab"] = [entry for old, entry in enumerate(model["vocab"]) if old in number]
        model["unk_id"] = number.get(model["unk_id"])
    else:
        model["vocab"] = {piece: number[old] for piece, old in model["vocab"].items() if old in number}
    if model["type"] == "BPE":
        model["merges"] = [
            merge for merge in model["merges"] if all(p in model["vocab"] for p in (*merge, _result(model, *merge)))
        ]
    for token in state["added_tokens"]:
        token["id"] = number[token["id"]]
    _renumber(state["post_processor"], number)
    return Tokenizer.from_str(json.dumps(state | {"truncation": None, "padding": None}, ensure_ascii=False))


def check(tokenizer: Tokenizer, smaller: Tokenizer, kept: Sequence[int], texts: Sequence[str], key: str) -> None:
    """Raise `UserError` naming `key` if `smaller`, the `tokenizer` cut to `kept`, segments one of `texts` otherwise."""
    number = {old: new for new, old in enumerate(kept)}
    after = _encoded(smaller, texts, quietly=True)
    for text, old, new in zip(texts, _encoded(tokenizer, texts), after, strict=True):
        if [number.get(id) for id in old] != new:
            raise UserError(f"{key}: the smaller tokenizer cuts {text[:40]!r} otherwise than the encoder's: write all")


def trim(model: SentenceTransformer, texts: Sequence[str], languages: Sequence[str], whole_scripts: bool) -> Tokenizer:
    """Cut the vocabulary of `model` in place to what `texts`, prompts included, and `languages` need; returns the
    tokenizer of all pieces. Raises `UserError` if it cannot be cut."""
    key = "base.vocabulary"
    before = whole(backend(model, key))
    first: Any = model[0]
    used = set(counts(before, texts))
    if isinstance(first, Transformer):
        named = {number for _, _, found in _named(first.model.config) for number in found}
        used |= {number for number in named if before.id_to_token(number) is not None}
        used |= set(range(_numbered_from(first.model)))
    ids = kept(before, used, languages, whole_scripts)
    after = cut(before, ids)
    check(before, after, ids, texts, key)
    if isinstance(first, StaticEmbedding):
        # A module of its own kind: a table has its size from its making.
        model[0] = StaticEmbedding(after, embedding_weights=first.embedding.weight.detach()[ids].clone())
        return before
    _resize(first.model, ids)
    old = first.tokenizer
    first.processor = PreTrainedTokenizerFast(
        tokenizer_object=after,
        model_max_length=old.model_max_length,
        padding_side=old.padding_side,
        truncation_side=old.truncation_side,
        model_input_names=old.model_input_names,
        **old.special_tokens_map,
    )
    return before


def _resize(model: Any, ids: list[int]) -> None:
    """Leave the rows `ids` of a transformer's table of tokens."""
    table, number = model.get_input_embeddings(), {old: new for new, old in enumerate(ids)}
    padding = table.padding_idx
    with torch.no_grad():
        table.weight[: len(ids)] = table.weight[ids]
    # It drops the rows behind those, whatever shares them, and says so in the config.
    model.resize_token_embeddings(len(ids))
    model.get_input_embeddings().padding_idx = number.get(padding)
    for config, name, found in _named(model.config):
        new = [number[old] for old in found if old in number]
        setattr(config, name, new if isinstance(getattr(config, name), list) else next(iter(new), None))


def _named(config: Any) -> Iterator[tuple[Any, str, list[int]]]:
    """The ids that a config names (`pad_token_id`), each with its config, which may be within another, and its key."""
    for part in {id(part): part for part in (config, config.get_text_config())}.values():
        for name, value in part.to_dict().items():
            if name.endswith("_token_id") and value is not None:
                yield part, name, value if isinstance(value, list) else [value]


def _numbered_from(model: Any) -> int:
    """RoBERTa's family numbers positions from the padding's id plus one, so that the ids before that must stay."""
    tables: list[Any] = [getattr(part, "position_embeddings", None) for part in model.modules()]
    paddings = [getattr(table, "padding_idx", None) for table in tables]
    return max((padding + 1 for padding in paddings if padding is not None), default=0)


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], *, quietly: bool = False) -> Iterator[list[int]]:
    with tqdm(total=len(texts), desc="pieces", unit=" texts", delay=BAR_DELAY, disable=quietly) as bar:
        for at in range(0, len(texts), AT_ONCE):
            some = list(texts[at : at + AT_ONCE])
            yield from (found.ids for found in tokenizer.encode_batch(some))
            bar.update(len(some))


def _vocabulary(model: dict[str, Any]) -> dict[str, int]:
    """{piece: id} of what is learnt, as tokenizer.json has it."""
    if model["type"] == "Unigram":
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    found: dict[str, int] = model["vocab"]
    return found


def _reader(state: dict[str, Any]) -> Callable[[str], str | None]:
    """Gives the text of a piece, without what marks its place in a word: "" of a byte or a mark alone, None of several
    bytes that are no character."""
    model = state["model"]
    prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
    if '"ByteLevel"' not in json.dumps([state["pre_tokenizer"], state["decoder"]]):
        return lambda piece: BYTE.sub("", piece).removeprefix(prefix).removesuffix(suffix).strip("▁")
    values = {character: value for value, character in bytes_to_unicode().items()}

    def decoded(piece: str) -> str | None:
        if len(piece) == 1:
            return ""
        try:
            return bytes(values[character] for character in piece.removesuffix(suffix)).decode().strip()
        except (KeyError, UnicodeDecodeError):
            return None

    return decoded


def _result(model: dict[str, Any], left: str, right: str) -> str:
    """What a merge makes of its two sides."""
    return left + right.removeprefix(model["continuing_subword_prefix"] or "")


def _sides(model: dict[str, Any], pieces: dict[str, int], found: set[int]) -> set[int]:
    """The ids of all that `found` are merged of, step by step, in any way that there is."""
    merged: dict[str, list[str]] = defaultdict(list)
    for left, right in model["merges"]:
        merged[_result(model, left, right)] += [left, right]
    waiting = [piece for piece, number in pieces.items() if number in found]
    sides: set[str] = set()
    while waiting:
        new = set(merged[waiting.pop()]) - sides
        sides |= new
        waiting += new
    return {pieces[side] for side in sides}


def _around(part: dict[str, Any] | None) -> Iterator[int]:
    """The ids that a post-processor puts around a text."""
    if part is None:
        return
    for inner in part.get("processors", []):
        yield from _around(inner)
    for token in part.get("special_tokens", {}).values():
        yield from token["ids"]
    yield from (part[end][1] for end in ("cls", "sep") if end in part)


def _renumber(part: dict[str, Any] | None, number: dict[int, int]) -> None:
    """Give the tokens that a post-processor puts around a text their new ids."""
    if part is None:
        return
    for inner in part.get("processors", []):
        _renumber(inner, number)
    for token in part.get("special_tokens", {}).values():
        token["ids"] = [number[old] for old in token["ids"]]
    for end in ("cls", "sep"):
        if end in part:
            part[end][1] = number[part[end][1]]
