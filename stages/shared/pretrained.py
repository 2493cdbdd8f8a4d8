"""A pretrained encoder, as `base` or as `teacher`: any of sentence-transformers or transformers, from hub or folder.

What is set in params comes first, then what its preset knows, then what its own files say. Weights are read from
safetensors alone, since other files may hold pickles.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from sentence_transformers.util import load_file_path
from tokenizers.processors import TemplateProcessing
from transformers import CONFIG_MAPPING

from stages.settings.encoders import PretrainedEncoder
from stages.shared import carried, models, packaged, pieces
from stages.shared.errors import UserError, first_line
from stages.shared.presets import PRESETS, Preset, named, of_config
from stages.shared.roles import PROMPT_NAMES

log = logging.getLogger(__name__)
# The names under which sentence-transformers looks for prompts, the first that a model has.
PROMPTS_TRIED = {"query": ("query",), "passage": ("document", "passage", "corpus")}


def load(settings: PretrainedEncoder, key: str) -> tuple[SentenceTransformer, dict[str, Any]]:
    """The model that the group `key` of params describes, and a record of how it is run.

    The record holds name, preset, revision (the commit, if known), pooling (and `pooling_assumed`, if nothing states
    it), prompts, max_length, dtype, attention, padding, dimension and trust_remote_code; of an encoder that a package
    carries also what its weights are. Raises `UserError` if the model cannot be had, or does not encode as it should.
    """
    if encoder := carried.find(settings.name):
        plain = {"name": str(packaged.folder(encoder)), "preset": settings.preset or encoder.preset}
        model, described = load(settings.model_copy(update=plain), key)
        version = f"{encoder.package} {encoder.version}"
        return model, described | {"name": settings.name, "revision": version, "weights": encoder.weights}
    name = settings.name
    if name.startswith((".", "/")) and not Path(name).is_dir():
        raise UserError(f"{key}.name is {name!r}, which is no folder: name a hub id, a folder or {_word(key)}")
    preset_name, preset = _preset(settings, key)
    revision = settings.revision or (preset.revision if preset_name == name else None)
    local = Path(name).is_dir()
    if settings.trust_remote_code and not local and not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
        raise UserError(f"{key}.trust_remote_code runs code of {name}: pin its revision (a commit) in {key}.revision")
    if preset.remote_code and not local:
        _permit_code(settings, key, preset)
    try:
        files = _Files(name, revision)
        config = files.json("config.json", dict)
        modules = files.json("modules.json", list)
        stated = files.json("config_sentence_transformers.json", dict)
    except (OSError, ValueError) as error:
        raise _unloadable(name, revision, key, preset, error) from None
    if _runs_code(config, modules):
        _permit_code(settings, key, preset)
    origin = None if preset_name else of_config(config)
    if origin:
        preset = _fill_in(PRESETS[origin], stated, modules)
    _refuse(name, key, files, config, modules, stated)
    if not local and not revision:
        log.warning(
            f"{key}.revision is not set, so {name} is what its authors last put there: pin {files.commit or 'it'}"
        )
    options: dict[str, Any] = {"dtype": settings.dtype, "use_safetensors": True}
    if attention := settings.attention or preset.attention:
        options["attn_implementation"] = attention
    try:
        model = SentenceTransformer(
            name, revision=revision, trust_remote_code=settings.trust_remote_code, model_kwargs=options
        )
    # Code of a model's authors may raise anything.
    except Exception as error:
        raise _unloadable(name, revision, key, preset, error) from None
    inner = str(modules[0]["path"]) if modules else ""
    has: Callable[[str], bool] = lambda file: bool(files.path(file) or files.path(str(Path(inner, file))))  # noqa: E731
    pieces.check(model, f"{key}.name {name!r}", has)
    assumed = _set_pooling(model, settings, preset, key, stated=bool(modules))
    _set_prompts(model, settings, preset, key, known=preset_name is not None)
    _set_length(model, settings, preset, key)
    _set_tokens(model, settings, preset, key)
    model = model.to(dtype=getattr(torch, settings.dtype))
    if preset.dtype != settings.dtype and preset_name:
        log.info(f"{name}: in {settings.dtype}, as {key}.dtype says; {preset_name} is published in {preset.dtype}")
    _try_out(model, name, key, preset)
    own = Path(name).resolve().name if local else name  # no path: it is of this machine alone
    record = {
        "name": own,
        "preset": preset_name,
        "revision": files.commit or revision,
        **describe(model),
        "trust_remote_code": settings.trust_remote_code,
        **({"pooling_assumed": True} if assumed else {}),
    }
    log.info(", ".join(f"{trait} {value!r}" for trait, value in record.items() if value is not None))
    return model, record


def describe(model: SentenceTransformer) -> dict[str, Any]:
    """How `model` is run: pooling, prompts, max_length, dtype, attention, padding (None: has none) and dimension."""
    first: Any = model[0]
    pooling = [module.pooling_mode for module in model if isinstance(module, Pooling)]
    transformer = isinstance(first, Transformer)
    return {
        "pooling": pooling[0] if pooling else None,
        "prompts": {role: model.prompts.get(name) or "" for role, name in PROMPT_NAMES.items()},
        "max_length": model.max_seq_length if transformer else None,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "attention": getattr(first.model.config, "_attn_implementation", None) if transformer else None,
        "padding": first.tokenizer.padding_side if transformer else None,
        "dimension": model.get_embedding_dimension(),
    }


class _Files:
    """A model's small files, in a folder or at the hub's `revision`."""

    def __init__(self, name: str, revision: str | None) -> None:
        self.name, self.revision = name, revision
        self.commit: str | None = None

    def path(self, file: str) -> Path | None:
        found = load_file_path(self.name, file, revision=self.revision)
        if found and not Path(self.name).is_dir() and "snapshots" in (parts := Path(found).parts):
            self.commit = parts[parts.index("snapshots") + 1]
        return Path(found) if found else None

    def json(self, file: str, kind: type[dict] | type[list]) -> Any:
        """The file's content, or an empty one if there is none; raises ValueError if it is not of the `kind`."""
        path = self.path(file)
        try:
            found = json.loads(path.read_text(encoding="utf-8")) if path else kind()
        except RecursionError:
            raise ValueError(f"{file} is nested too deeply") from None
        except ValueError as error:
            raise ValueError(f"{file} is damaged or cut off ({error})") from None
        parts = ("type", "path") if kind is list else ()
        if not isinstance(found, kind) or any(not {*parts} <= {*module} for module in found if parts):
            raise ValueError(f"{file} is damaged, or another file")
        return found


def _preset(settings: PretrainedEncoder, key: str) -> tuple[str | None, Preset]:
    """The preset that is set, or that the name is of, and what it knows."""
    if settings.preset and settings.preset not in PRESETS:
        raise UserError(f"{key}.preset is {settings.preset!r}: write null or one of {', '.join(PRESETS)}")
    found = settings.preset or named(settings.name)
    return found, PRESETS[found] if found else Preset()


def _fill_in(preset: Preset, stated: dict[str, Any], modules: list[Any]) -> Preset:
    """What `preset` adds to a model fine-tuned from its own: pooling and prompts where what that has `stated` (its
    config_sentence_transformers.json) lacks them."""
    own = stated.get("prompts") or {}
    preset = replace(preset, max_length=None, padding=None, dtype="float32", note="")
    if any(own.get(name) for names in PROMPTS_TRIED.values() for name in names):
        preset = replace(preset, query="", passage="")
    return replace(preset, pooling=None) if modules else preset


def _runs_code(config: dict[str, Any], modules: list[Any]) -> bool:
    """Whether classes are needed that neither transformers nor sentence-transformers has."""
    foreign = any(not module["type"].startswith("sentence_transformers.") for module in modules)
    return foreign or ("auto_map" in config and config.get("model_type") not in CONFIG_MAPPING)


def _permit_code(settings: PretrainedEncoder, key: str, preset: Preset) -> None:
    if not settings.trust_remote_code:
        note = f" ({preset.note})" if preset.note else ""
        raise UserError(
            f"{key}.name {settings.name!r} runs code of its authors: read it and, if you trust it, set "
            f"{key}.trust_remote_code to true{note}"
        )


def _refuse(
    name: str, key: str, files: _Files, config: dict[str, Any], modules: list[Any], stated: dict[str, Any]
) -> None:
    """Raise `UserError` for what would be loaded as something else than a plain model."""
    if stated.get("model_type") == "CrossEncoder":
        raise UserError(f"{key}.name {name!r} is a re-ranker, which has no vectors: name an encoder")
    if files.path("adapter_config.json"):
        raise UserError(
            f"{key}.name {name!r} is an adapter (LoRA), not a model: fold it into its model with peft's "
            f"merge_and_unload, save that, and name its folder"
        )
    elsewhere = {place.split("--")[0] for place in map(str, config.get("auto_map", {}).values()) if "--" in place}
    if elsewhere:
        raise UserError(
            f"{key}.name {name!r} takes its code from {', '.join(sorted(elsewhere))}, which no revision pins: copy the "
            "model and that code into one folder and name it"
        )
    if config.get("quantization_config"):
        raise UserError(f"{key}.name {name!r} is quantized, so it can be neither trained nor merged: name the original")
    for module in modules:
        safe, pickled = (str(Path(module["path"], file)) for file in ("model.safetensors", "pytorch_model.bin"))
        # Of a transformer itself the weights may be in parts, and `use_safetensors` watches over them.
        if not module["type"].endswith("Transformer") and not files.path(safe) and files.path(pickled):
            raise UserError(
                f"{key}.name {name!r} keeps {pickled} as a pickle, which may hold code: name a revision that has "
                f"{safe}, or convert it"
            )


def _unloadable(name: str, revision: str | None, key: str, preset: Preset, error: Exception) -> UserError:
    file = models.damaged(Path(name)) if Path(name).is_dir() else None
    reason = f"{file.relative_to(name)} is damaged or cut off" if file else first_line(error)
    note = f" ({preset.note})" if preset.note else ""
    return UserError(f"{key}.name {name!r}{f' at {revision}' if revision else ''} cannot be loaded: {reason}{note}")


def _set_pooling(
    model: SentenceTransformer, settings: PretrainedEncoder, preset: Preset, key: str, stated: bool
) -> bool:
    """Pool as params or the preset say; returns whether nothing does, nor a file of the model (`stated`)."""
    places = [name for name, module in model.named_children() if isinstance(module, Pooling)]
    if settings.pooling and not places:
        raise UserError(f"{key}.pooling is {settings.pooling!r}, but {settings.name} does not pool tokens: write null")
    wanted = settings.pooling or preset.pooling
    if not places:
        return False
    if not wanted:
        if not stated:
            log.warning(
                f"{settings.name} states no pooling, so the {describe(model)['pooling']} of its tokens is assumed: set "
                f"{key}.pooling if it was trained with another"
            )
        return not stated
    own: Any = model._modules[places[0]]
    if own.pooling_mode != wanted:
        if not settings.pooling:
            log.warning(f"{settings.name} says pooling {own.pooling_mode}, its preset {wanted}, which is taken")
        model._modules[places[0]] = Pooling(own.embedding_dimension, wanted, include_prompt=own.include_prompt)
    return False


def _set_prompts(
    model: SentenceTransformer, settings: PretrainedEncoder, preset: Preset, key: str, known: bool
) -> None:
    """`known`: the preset is the model's own, so that it is sure to need no prompts where the preset has none."""
    own = {role: next(filter(None, map(model.prompts.get, tried)), "") for role, tried in PROMPTS_TRIED.items()}
    wanted = {"query": preset.query, "passage": preset.passage}
    if settings.prompts == "none":
        chosen = dict.fromkeys(own, "")
        if any(own.values()) or any(wanted.values()):
            log.warning(f"{settings.name} runs without its prompts, as {key}.prompts says")
    elif settings.prompts:
        chosen = settings.prompts.model_dump()
    elif any(wanted.values()):
        chosen = wanted
        if any(own.values()) and own != wanted:
            log.warning(f"{settings.name} says prompts {own}, its preset {wanted}, which are taken")
    else:
        chosen = own
        if not any(own.values()) and not known:
            log.warning(
                f"{settings.name} states no prompts, so none are used: set {key}.prompts if it was trained with some"
            )
    model.prompts = {PROMPT_NAMES[role]: chosen[role] for role in PROMPT_NAMES}
    model.default_prompt_name = None


def _set_length(model: SentenceTransformer, settings: PretrainedEncoder, preset: Preset, key: str) -> None:
    module: Any = model[0]
    if not isinstance(module, Transformer):
        if settings.max_length:
            raise UserError(
                f"{key}.max_length is {settings.max_length}, but {settings.name} reads texts of any length: write null"
            )
        return
    limit = positions(module)
    if settings.max_length and limit and settings.max_length > limit:
        raise UserError(
            f"{key}.max_length is {settings.max_length}, but {settings.name} has {limit} positions: lower it"
        )
    lengths = [settings.max_length or preset.max_length or module.max_seq_length, limit]
    module.max_seq_length = min(length for length in lengths if length)


def positions(module: Transformer) -> int | None:
    """The tokens that a text may have, the special ones included; None: as many as one likes.

    RoBERTa's family numbers positions from the padding's id plus one, so that of 514 only 512 are usable.
    """
    for part in module.model.modules():
        table = getattr(part, "position_embeddings", None)
        if isinstance(table, torch.nn.Embedding):
            return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    limit = getattr(module.config, "max_position_embeddings", None)
    return limit if limit and limit > 0 else None


def _set_tokens(model: SentenceTransformer, settings: PretrainedEncoder, preset: Preset, key: str) -> None:
    """The side of the padding, and the end token of models that read a text's meaning from it."""
    module: Any = model[0]
    if not isinstance(module, Transformer):
        if settings.padding:
            raise UserError(f"{key}.padding is {settings.padding!r}, but {settings.name} pads nothing: write null")
        return
    tokenizer: Any = module.tokenizer
    if settings.padding or preset.padding:
        tokenizer.padding_side = settings.padding or preset.padding
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    ids = tokenizer("a")["input_ids"]
    if preset.end and ids[-1] != tokenizer.eos_token_id:
        bare = tokenizer("a", add_special_tokens=False)["input_ids"]
        first = tokenizer.convert_ids_to_tokens(ids[: len(ids) - len(bare)])
        special = [*first, tokenizer.eos_token]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=[*first, "$A", tokenizer.eos_token],
            special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in dict.fromkeys(special)],
        )


def _try_out(model: SentenceTransformer, name: str, key: str, preset: Preset) -> None:
    """Raise `UserError` if `model` cannot encode, or gives a text another vector beside a longer one: a wrong padding,
    or code that does not suit this transformers, else shows only in bad scores."""
    if isinstance(model[0], StaticEmbedding):
        return
    texts = ["one", "one two three four five six seven eight nine"]
    try:
        together = model.encode(texts, convert_to_tensor=True)
        alone = model.encode(texts[:1], convert_to_tensor=True)
    except Exception as error:
        raise _unloadable(name, None, key, preset, error) from None
    if not torch.isfinite(together).all():
        raise UserError(f"{key}.name {name!r} gives vectors that are no numbers: write {key}.dtype float32")
    if torch.cosine_similarity(together[0].float(), alone[0].float(), dim=0) < 0.99:
        raise UserError(
            f"{key}.name {name!r} gives a text another vector when it is padded: try another {key}.padding or "
            f"{key}.attention"
        )


def _word(key: str) -> str:
    return {"base": "static", "teacher": "base"}.get(key, "package:multilingual-e5-small")
