"""Whether models can be merged, as their files say before any weight is read: a sentence for the first difference."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open

from stages.shared import files, models, tables
from stages.shared.errors import UserError

# What a config says of where it comes from, and nothing of the model.
PROVENANCE = ("architectures", "auto_map", "dtype", "torch_dtype", "transformers_version")


class Header(NamedTuple):
    file: Path
    shape: list[int]


def headers(folder: Path) -> dict[str, Header]:
    """The names and shapes of the weights in a module's own files."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with models.loading(folder), safe_open(file, framework="numpy") as opened:
            for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                found[name] = Header(file, opened.get_slice(name).get_shape())
    return found


def check(merge: str, folders: dict[str, Path]) -> None:
    """Raise `UserError` if the models in `folders` differ in anything but weights: the merged one takes all else from
    the first."""
    (first, one), *others = ((part, traits(folder)) for part, folder in folders.items())
    for part, other in others:
        for trait in [*one, *(trait for trait in other if trait not in one)]:
            if one.get(trait) != other.get(trait):
                raise UserError(
                    f"merges.{merge}: {first} and {part} differ in {trait} ({_told(one.get(trait))}, "
                    f"{_told(other.get(trait))}): merge models of one base"
                )


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."


def traits(folder: Path) -> dict[str, Any]:
    """What models have in common that can be merged: modules, architecture, tokenizer, pooling, prompts, shapes."""
    with models.loading(folder):
        modules = tables.read_json(folder / "modules.json")
    found: dict[str, Any] = {"modules": [module["type"].rsplit(".", 1)[-1] for module in modules]}
    for module, kind in zip(modules, found["modules"], strict=True):
        place = folder / module["path"]
        for key, value in sorted(_json(place / "config.json").items()):
            if key not in PROVENANCE and not key.startswith("_"):
                found[f"{kind}'s {key}"] = value
        found |= _tokenizer(place)
        told = _json(place / "sentence_bert_config.json")
        if "max_seq_length" in told:
            found["max_seq_length"] = told["max_seq_length"]
    told = _json(folder / "config_sentence_transformers.json")
    found |= {trait: told.get(trait) for trait in ("prompts", "default_prompt_name", "similarity_fn_name")}
    normalizer = folder / models.NORMALIZER
    found[models.NORMALIZER] = files.content(normalizer)[:8] if normalizer.is_file() else None
    for module in modules:
        for name, header in sorted(headers(folder / module["path"]).items()):
            found[f"the shape of {Path(module['path']) / name}"] = header.shape
    return found


def _tokenizer(place: Path) -> dict[str, Any]:
    """Vocabulary, and how texts are cut into its pieces; how many, and on which side a batch is filled up."""
    found: dict[str, Any] = {}
    if (place / "tokenizer.json").is_file():
        whole = _json(place / "tokenizer.json")
        model = whole.pop("model", {})
        pieces = model.pop("vocab", [])
        # A Unigram model's pieces have scores, whose last bits change as they are written and read.
        rounded = [[piece, round(score, 6)] for piece, score in pieces] if isinstance(pieces, list) else pieces
        found["vocabulary"] = f"{len(pieces):,} pieces, {_digest(rounded)}"
        found["tokenizer"] = _digest([model, {k: v for k, v in whole.items() if k not in ("truncation", "padding")}])
    if (place / "tokenizer_config.json").is_file():
        told = _json(place / "tokenizer_config.json")
        found["max_seq_length"] = told.get("model_max_length")
        found["padding_side"] = told.get("padding_side", "right")
    return found


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=4).hexdigest()


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    with models.loading(file.parent):
        found: dict[str, Any] = tables.read_json(file)
    return found
