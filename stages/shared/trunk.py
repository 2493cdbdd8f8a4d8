"""The trunk that models share: a transformer's embeddings and its lower layers, where these are frozen.

All recipes of a study start from one base. What its frozen part makes of a text is the same for every model that is
trained above it, merged of such models, or the base itself: it is computed once and kept (`vectors.states`). A model
then costs its upper layers alone, in training and in ranking. Hidden states are rounded to half precision on the way:
vectors agree with those of the whole model to a cosine of 0.9999 (of multilingual-e5-small, 0.9999999), which `share`
tries out; or to 8 bits, which costs more.

A text's states do not tell what else was computed with it (`lengths.padded_alike`).
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer
from torch import Tensor, nn
from tqdm import tqdm

from stages.settings.freeze import Freeze, Precision
from stages.shared.errors import UserError
from stages.shared.lengths import PADDED_TO, padded_alike, padded_tokens
from stages.shared.roles import PROMPT_NAMES, Role
from stages.shared.vectors.states import KeptStates, key

log = logging.getLogger(__name__)
# Texts tokenized at once, and those of a progress bar.
TEXTS = 4096
BAR_AFTER = 5
# What architectures call a module's dropout that is no module of its own.
DROPOUTS = ("attention_dropout", "dropout", "dropout_prob")
# Cosine that vectors with and without the cut have at least.
AGREEMENT: dict[Precision, float] = {"half": 0.9999, "int8": 0.99}
# Of either kind the layers can be frozen; only a bi-encoder's outcome can be kept, for a cross-encoder reads pairs.
Freezable = SentenceTransformer | CrossEncoder


def layers(model: Freezable) -> tuple[list[str], nn.ModuleList]:
    """Where a transformer's layers are within it, and they; raises `UserError` if it has none that can be told."""
    module: Any = model[0]
    if isinstance(module, Transformer):
        inner = _inner(model)
        depth = getattr(inner.config, "num_hidden_layers", None) or getattr(inner.config, "n_layers", None)
        for name, part in inner.named_modules():
            if isinstance(part, nn.ModuleList) and len(part) == depth:
                return name.split("."), part
    raise UserError("train.freeze is of a transformer's layers, and the base has none: write null")


def _inner(model: Freezable) -> Any:
    """The transformers model within `model`, without a head."""
    first: Any = model[0]
    return first.model.base_model


def embeddings(model: Freezable) -> tuple[list[str], nn.Module]:
    """Where all is that a transformer does before its first layer, and it."""
    inner = _inner(model)
    if isinstance(found := getattr(inner, "embeddings", None), nn.Module):
        return ["embeddings"], found
    table = inner.get_input_embeddings()
    return next(name.split(".") for name, part in inner.named_modules() if part is table), table


def frozen(model: Freezable, settings: Freeze) -> list[nn.Module]:
    """The parts of `model` that are frozen; raises `UserError` if it lacks such layers."""
    _, found = layers(model)
    if settings.layers >= len(found):
        raise UserError(f"train.freeze.layers is {settings.layers}, but the base has {len(found)}: train at least one")
    return [*found[: settings.layers], *([embeddings(model)[1]] if settings.embeddings else [])]


def freeze(model: Freezable, settings: Freeze) -> None:
    """Take the frozen weights of `model` from training, in place; raises `UserError` if it lacks such layers.

    They are run without dropout, as the shared trunk is.
    """
    for part in frozen(model, settings):
        part.requires_grad_(False)
        set_dropout(part, 0.0)


def set_dropout(part: nn.Module, probability: float) -> None:
    """Set all dropout of `part` in place; its config, which is saved with a model, stays."""
    for module in part.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        for name in DROPOUTS:
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, probability)


class Trunk:
    """The frozen part of a model, which `share` has cut off it."""

    def __init__(self, model: SentenceTransformer, settings: Freeze) -> None:
        self.model = model
        depth = settings.layers
        self._inner: Any = _inner(model)
        tokenizer: Any = model.tokenizer
        self._padding: int = tokenizer.pad_token_id or 0
        # Not the model's maximal length, which is another in training: a text's states must not depend on that.
        self._positions: int | None = getattr(self._inner.config, "max_position_embeddings", None)
        self._layers_at, self._layers = layers(model)
        self._embeddings_at, self._embeddings = embeddings(model)
        lower = nn.ModuleList(self._layers[:depth])
        self._lower = _with(self._inner, self._layers_at, lower)
        dtype = next(self._inner.parameters()).dtype
        half = torch.float16 if dtype == torch.float32 else dtype
        self._states = KeptStates(self._identity(depth, settings.precision), half, settings.precision, settings.disk)
        _set(self._inner, self._layers_at, nn.ModuleList(self._layers[depth:]))
        if not isinstance(self._embeddings, nn.Embedding):
            _set(self._inner, self._embeddings_at, _Given())
        self._hooks = [
            lower[-1].register_forward_hook(self._caught),
            model[0].register_forward_pre_hook(self._given),
        ]

    def whole(self) -> SentenceTransformer:
        """The model as it was, with what has been trained of it."""
        for hook in self._hooks:
            hook.remove()
        _set(self._inner, self._layers_at, self._layers)
        _set(self._inner, self._embeddings_at, self._embeddings)
        return self.model

    def prepare(self, texts: Iterable[str], role: Role) -> int:
        """Compute the states of `texts` that are not kept; return how many there were."""
        self._states.release()
        prompt = self.model.prompts.get(PROMPT_NAMES[role]) or ""
        distinct = list(dict.fromkeys(texts))
        missing: dict[bytes, np.ndarray] = {}
        for at in range(0, len(distinct), TEXTS):
            features = self.model.preprocess(distinct[at : at + TEXTS], prompt=prompt)
            for ids in _unpadded(features["input_ids"], features["attention_mask"]):
                if (name := key(ids)) not in self._states:
                    missing[name] = ids
        self._compute(missing, role)
        return len(missing)

    def _identity(self, depth: int, precision: Precision) -> str:
        """A digest of the trunk: its weights, its architecture, where it is run, and how what it gives is kept."""
        told = self._inner.config.to_dict()
        ours = {name: value for name, value in told.items() if name not in ("_name_or_path", "transformers_version")}
        attention = self._inner.config._attn_implementation
        kind = self._inner.device.type
        facts = [depth, ours, attention, kind, PADDED_TO, padded_tokens(kind), precision]
        digest = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=16)
        for part in (self._embeddings, *self._layers[:depth]):
            for name, tensor in part.state_dict().items():
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
        return digest.hexdigest()

    def _compute(self, missing: dict[bytes, np.ndarray], what: str = "text") -> None:
        names = list(missing)
        device = self._inner.device
        with tqdm(
            total=len(missing), desc=f"{what} states of the frozen layers", unit=" texts", delay=BAR_AFTER
        ) as bar:
            lengths = np.array([len(ids) for ids in missing.values()], np.int64)
            for width, batch in padded_alike(lengths, padded_tokens(device.type), self._positions):
                ids = np.full((len(batch), width), self._padding, np.int64)
                for place, row in enumerate(batch):
                    ids[place, : lengths[row]] = missing[names[row]]
                there = np.arange(width) < lengths[batch, None]
                states = self._run(torch.from_numpy(ids).to(device), torch.from_numpy(there).to(device))
                distinct = list(dict.fromkeys(batch))
                for row, own in zip(distinct, states.cpu(), strict=False):
                    if not self._states.add(names[row], own[: lengths[row]]):
                        raise UserError(
                            "train.freeze cannot keep this base's hidden states, which are beyond half precision: set "
                            "base.dtype bfloat16"
                        )
                bar.update(len(distinct))
        self._states.flush()

    def _run(self, ids: Tensor, mask: Tensor) -> Tensor:
        was_training = self._lower.training
        self._lower.eval()
        with torch.no_grad(), torch.autocast(ids.device.type, enabled=False):
            self._lower(input_ids=ids, attention_mask=mask.long())
        self._lower.train(was_training)
        return self._output

    def _caught(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._output = output[0] if isinstance(output, tuple) else output

    def _given(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
        """The features of texts with states in the place of token ids."""
        features, *others = args
        ids, mask = features["input_ids"], features["attention_mask"]
        rows = _unpadded(ids, mask)
        keys = [key(row) for row in rows]
        found = {name: self._states.get(name) for name in dict.fromkeys(keys)}
        missing = {name: row for name, row in zip(keys, rows, strict=True) if found[name] is None}
        if missing:
            self._compute(missing)
            found |= {name: self._states.get(name) for name in missing}
        first: Any = found[keys[0]]
        states = torch.zeros(*ids.shape, first.shape[1], dtype=first.dtype)
        states[mask.bool().cpu()] = torch.cat([found[name] for name in keys])  # type: ignore[misc]
        given = {name: value for name, value in features.items() if name not in ("input_ids", "token_type_ids")}
        given["inputs_embeds"] = states.to(ids.device, next(self._inner.parameters()).dtype)
        return given, *others


def share(model: SentenceTransformer, settings: Freeze) -> Trunk | None:
    """Cut `model` in place above its frozen part, whose states are kept from then on; None, and the model whole, if an
    architecture's layers cannot be run apart.

    `Trunk.whole` puts it together again.
    """
    texts = ["one", "one two three four five six seven eight nine"]
    was_training = model.training
    model.eval()
    before = model.encode(texts, convert_to_tensor=True).float()
    trunk = None
    try:
        trunk = Trunk(model, settings)
        after = model.encode(texts, convert_to_tensor=True).float()
        agreed = float(torch.cosine_similarity(before, after).min())
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError) as error:
        log.info(f"the cut model cannot be run: {error}")
        agreed = 0.0
    model.train(was_training)
    if agreed < AGREEMENT[settings.precision]:
        log.warning("the frozen layers of this architecture cannot be run apart: every model runs them by itself")
        if trunk:
            trunk.whole()
        return None
    return trunk


class _Given(nn.Module):
    """In the place of a model's embeddings: the states that it was given."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        found = [
            value for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.is_floating_point()
        ]
        return found[0]


def _unpadded(ids: Tensor, mask: Tensor) -> list[np.ndarray]:
    rows, kept = ids.cpu().numpy(), mask.bool().cpu().numpy()
    return [row[own] for row, own in zip(rows, kept, strict=True)]


def _set(module: nn.Module, path: list[str], value: nn.Module) -> None:
    for name in path[:-1]:
        module = module._modules[name]  # type: ignore[assignment]
    module._modules[path[-1]] = value


def _with(module: nn.Module, path: list[str], value: nn.Module) -> nn.Module:
    """`module` with `value` at `path`; all else is the same objects."""
    changed = copy.copy(module)
    changed._modules = dict(module._modules)
    first, *rest = path
    changed._modules[first] = value if not rest else _with(module._modules[first], rest, value)  # type: ignore[arg-type]
    return changed
