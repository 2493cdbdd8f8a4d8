"""Merged weights, tensor by tensor: what `merge` saves, what a search tries, and what lies on a path between models.

The files of all parts stay on disk: memory holds one model, and of each part the tensor that is being merged or, where
a method goes element by element (linear, fisher), a block of its rows. No weight is read before the parts' files are
found to agree (`compatible`).

Each tensor is mergekit's own result in float32, rounded once. Weights that are equal in all parts, such as frozen ones,
stay as they are to the bit: sums of them would differ in the last bits, and what is kept of them be of no use. A method
that draws at random is seeded by (seed, merge, tensor). Two methods are not mergekit's:

- fisher (Matena and Raffel 2022, arXiv 2111.09832, section 3): sum of l_i F_i w_i / sum of l_i F_i, element by element,
  F_i being the importance of a weight to model i (the diagonal of its Fisher information) and l_i the model's weight.
- regmean (Jin et al. 2023, arXiv 2212.09849, section 3): of a linear layer W = (sum of W_i G_i) (sum of G_i)^-1, G_i
  being the mean outer product of the layer's inputs in model i, with its elements off the diagonal scaled by alpha; all
  else is averaged.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from torch import Tensor

from stages.schemas.plans import MEAN_IMPORTANCE, Plan, importance_file
from stages.settings.freeze import Freeze
from stages.shared import compatible, encoder, models, saving, seeds, tables
from stages.shared.errors import UserError

log = logging.getLogger(__name__)
# Methods that go element by element, so that rows can be merged apart, and the numbers of a block of rows.
ELEMENTWISE = ("linear", "fisher")
BLOCK_NUMBERS = 2**22
# A share of the mean of G's diagonal that is added to it, towards the average: inputs that no text gives keep that.
RIDGE = 1e-6
LAYER_NUMBER = re.compile(r"\.(?:layers?|h|blocks?)\.(\d+)\.")
EMBEDDING_WEIGHTS = re.compile(r"embed|\b(?:shared|wte|wpe)\b")
# Not the norm behind the attention, which some decoders name after it.
ATTENTION_WEIGHTS = re.compile(r"(?<!post_)att(?:ention|n)", re.IGNORECASE)


def save(plan: Plan, folder: Path, importances: Path, seed: int) -> None:
    """Save the model that `plan` says to `folder`, as the parts are run; `importances` has the files of what they have
    learnt (`importance_file`).

    Raises `UserError` if a part is missing, or parts do not go together.
    """
    record = models.base_record()
    folders = leaves(plan)
    for part, found in folders.items():
        if not (found / "modules.json").is_file():
            raise UserError(f"merges.{plan.name} needs the model {part!r}, but {found} is missing: run `dvc repro`")
    compatible.check(plan.name, folders)
    records = [models.record(found) for found in folders.values()]
    frozen = next((found["frozen"] for found in records if "frozen" in found), None)
    parts = _Parts(folders, record["trust_remote_code"])
    if frozen:
        _refuse_parted(plan.name, parts, Freeze.model_validate(frozen))
    merging = _Merging(parts, importances, seed, getattr(torch, record["dtype"]))
    with torch.no_grad():
        for key, tensor in parts.state.items():
            tensor.data = merging.whole(plan, key)
    parts.model.eval()
    saving.save(parts.model, folder)
    trained = {"frozen": frozen} if frozen else {}
    sizes = [found.get("matryoshka") for found in records]
    trained |= {"matryoshka": sizes[0]} if sizes[0] and sizes.count(sizes[0]) == len(sizes) else {}
    models.copy_record(models.BASE, folder, trained)
    if plan.searched and plan.weights:
        told = {"weights": dict(zip(plan.models, plan.weights, strict=True))}
        tables.write_json(tables.read_json(folder / models.RECORD) | told, folder / models.RECORD)
    models.copy_normalizer(next(iter(folders.values())), folder)


def leaves(plan: Plan) -> dict[str, Path]:
    """The folders of the models that a plan comes down to, by name, in order."""
    found: dict[str, Path] = {}
    for part in plan.models:
        found |= leaves(plan.merged[part]) if part in plan.merged else {part: models.source(part)}
    return found | ({models.BASE_NAME: models.BASE} if plan.base == "study" else {})


def canonical(model: SentenceTransformer) -> dict[str, Tensor]:
    """The weights and buffers of `model` by name, tied ones once."""
    found: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        found.setdefault(id(tensor), (name, tensor))
    return dict(found.values())


class _Parts:
    """The models of `folders`, the first of which is loaded, to be filled with what is merged."""

    def __init__(self, folders: dict[str, Path], trusted: bool) -> None:
        first = next(iter(folders))
        self.model = encoder.opened(folders[first], "cpu", trust_remote_code=trusted)
        self.state = canonical(self.model)
        self.names = list(folders)
        self._places = {part: _places(self.model, folder) for part, folder in folders.items()}
        self._loaded: dict[str, dict[str, Tensor]] = {}
        if all(place.keys() >= self.state.keys() for place in self._places.values()) and all(
            torch.equal(self.read(first, key).to(tensor.dtype), tensor) for key, tensor in self.state.items()
        ):
            return
        # A model whose code names its weights otherwise in files.
        for part, folder in folders.items():
            other = encoder.opened(folder, "cpu", trust_remote_code=trusted)
            self._loaded[part] = {key: tensor.detach() for key, tensor in canonical(other).items()}

    def read(self, part: str, key: str, rows: slice | None = None) -> Tensor:
        if part in self._loaded:
            return self._loaded[part][key] if rows is None else self._loaded[part][key][rows]
        file, name = self._places[part][key]
        # Opened anew each time: of what stays mapped, all that was ever read would count as memory.
        with models.loading(file.parent), safe_open(file, framework="pt") as opened:
            found: Tensor = opened.get_tensor(name) if rows is None else opened.get_slice(name)[rows]
        return found


def _places(model: SentenceTransformer, folder: Path) -> dict[str, tuple[Path, str]]:
    """The file in `folder`, and the name in it, of each weight of such a model that is found there."""
    found: dict[str, tuple[Path, str]] = {}
    aliases: dict[int, str] = {}
    for module, told in zip(model.named_children(), tables.read_json(folder / "modules.json"), strict=True):
        held = compatible.headers(folder / told["path"])
        for key, tensor in module[1].state_dict(keep_vars=True).items():
            name = next((spelt for spelt in (key, key.partition(".")[2]) if spelt in held), None)
            first = aliases.setdefault(id(tensor), f"{module[0]}.{key}")
            if name is not None:
                found.setdefault(first, (held[name].file, name))
    return found


def _refuse_parted(name: str, parts: _Parts, frozen: Freeze) -> None:
    """Raise `UserError` if the parts differ in what their training is said to have `frozen`."""
    from stages.shared import trunk

    held = {id(t) for part in trunk.frozen(parts.model, frozen) for t in part.state_dict(keep_vars=True).values()}
    first, *others = parts.names
    for key, tensor in parts.state.items():
        for part in others if id(tensor) in held else ():
            if not torch.equal(tensor, parts.read(part, key)):
                raise UserError(
                    f"merges.{name}: {first} and {part} differ in what is said to be frozen: merge models of one "
                    "train.freeze"
                )


class _Merging:
    def __init__(self, parts: _Parts, importances: Path, seed: int, dtype: torch.dtype) -> None:
        self.parts = parts
        self.importances = importances
        self.seed = seed
        self.dtype = dtype
        self.depth = 1 + max((int(found[1]) for key in parts.state if (found := LAYER_NUMBER.search(key))), default=-1)
        self._means: dict[Path, float] = {}

    def whole(self, plan: Plan, key: str) -> Tensor:
        """The merged tensor, in `dtype` if it is of real numbers."""
        shape = self.parts.state[key].shape
        if plan.method not in ELEMENTWISE or plan.merged or shape.numel() <= BLOCK_NUMBERS:
            return self.tensor(plan, key)
        step = max(1, BLOCK_NUMBERS // (shape.numel() // shape[0]))
        found = torch.empty(shape, dtype=self.dtype)
        for begin in range(0, shape[0], step):
            rows = slice(begin, min(begin + step, shape[0]))
            found[rows] = self.tensor(plan, key, rows)
        return found

    def tensor(self, plan: Plan, key: str, rows: slice | None = None) -> Tensor:
        parts = [
            self.tensor(plan.merged[part], key) if part in plan.merged else self.parts.read(part, key, rows)
            for part in plan.models
        ]
        start = [self.parts.read(models.BASE_NAME, key, rows)] if plan.base == "study" else []
        if all(torch.equal(parts[0], other) for other in (*parts[1:], *start)):
            return parts[0].to(self.dtype) if parts[0].is_floating_point() else parts[0]
        if plan.method == "fisher":
            return self._fisher(plan, parts, key, rows).to(self.dtype)
        if plan.method == "regmean" and (inputs := self._inputs(plan, key)):
            return _regmean(parts, inputs, float(plan.parameters["alpha"])).to(self.dtype)
        return self._by_mergekit(plan, parts + start, key)

    def _by_mergekit(self, plan: Plan, tensors: list[Tensor], key: str) -> Tensor:
        from mergekit.merge_methods import merge_state_dicts

        average = plan.method == "regmean"
        weights = self._weights(plan, key)
        # Along a path halfway, unless said otherwise.
        parameters = {"t": 0.5} if plan.method == "slerp" else {}
        parameters |= {} if average else plan.parameters
        torch.manual_seed(seeds.number(self.seed, "merges", plan.name, key))
        try:
            return merge_state_dicts(
                [{key: tensor} for tensor in tensors],
                "linear" if average else plan.method,
                base={"study": len(tensors) - 1, "first": 0}.get(plan.base or ""),
                parameters={**({"weight": weights} if weights else {}), **parameters},
                dtype=torch.float32,
                out_dtype=self.dtype,
            )[key]
        except ValueError as error:
            raise UserError(f"merges.{plan.name}: {', '.join(plan.models)} cannot be merged: {error}") from None

    def _weights(self, plan: Plan, key: str) -> list[float] | None:
        """Each part's weight in a tensor; None for a method that takes none."""
        if plan.method == "regmean":
            return [1.0] * len(plan.models)
        if plan.weights is None or not plan.layers:
            return plan.weights
        found = [
            self._in_layer(plan.name, part, plan.layers.get(part, {}), key, weight)
            for part, weight in zip(plan.models, plan.weights, strict=True)
        ]
        if plan.parameters.get("normalize", True) and abs(sum(found)) < 1e-9:
            raise UserError(
                f"merges.{plan.name}.layers: the weights of {key} add up to 0, so there is nothing to average"
            )
        return found

    def _in_layer(self, merge: str, part: str, layers: dict[str, Any], key: str, weight: float) -> float:
        layer = LAYER_NUMBER.search(key)
        kind = "attention" if ATTENTION_WEIGHTS.search(key) else "feed_forward"
        if layer is None:
            kind = "embeddings" if EMBEDDING_WEIGHTS.search(key) else ""
        given = layers.get(kind)
        if given is None or not isinstance(given, list):
            return weight if given is None else float(given)
        assert layer is not None
        number = int(layer[1])
        if isinstance(given[0], list):
            depth = number / (self.depth - 1) if self.depth > 1 else 0.0
            return float(np.interp(depth, [point[0] for point in given], [point[1] for point in given]))
        if len(given) != self.depth:
            raise UserError(
                f"merges.{merge}.layers.{part}.{kind} has {len(given)} weights, but the models have {self.depth} "
                "layers: write one for each, or points [depth, weight]"
            )
        return float(given[number])

    def _fisher(self, plan: Plan, parts: list[Tensor], key: str, rows: slice | None) -> Tensor:
        assert plan.weights is not None
        scaled = []
        for part, weight in zip(plan.models, plan.weights, strict=True):
            file = importance_file(self.importances, plan.name, part)
            with safe_open(file, framework="pt") as opened:
                mean = float(opened.get_tensor(MEAN_IMPORTANCE))
                known = key in opened.keys()  # noqa: SIM118 (it is no mapping)
                # What no gradient reaches, such as a buffer, is as important to each.
                found = torch.ones(()) if not known else opened.get_slice(key)[rows or slice(None)]
            scaled.append(weight * found.clamp(min=float(plan.parameters["floor"]) * mean))
        whole = torch.stack(torch.broadcast_tensors(*scaled)).sum(0)
        even = [weight / sum(plan.weights) for weight in plan.weights]
        return sum(
            (
                torch.where(whole > 0, share / whole, torch.tensor(weight)) * part.float()
                for share, weight, part in zip(scaled, even, parts, strict=True)
            ),
            start=torch.zeros(()),
        )

    def _inputs(self, plan: Plan, key: str) -> list[Tensor]:
        """The mean outer products of a linear layer's inputs in each part; none if it is no weight of such a layer."""
        found = []
        for part in plan.models:
            with safe_open(importance_file(self.importances, plan.name, part), framework="pt") as opened:
                if key in opened.keys():  # noqa: SIM118 (it is no mapping)
                    found.append(opened.get_tensor(key))
        return found


def _regmean(weights: list[Tensor], inputs: list[Tensor], alpha: float) -> Tensor:
    """W of shape [out, in], from those of each model and the mean outer products of its inputs, [in, in]."""
    grams = [alpha * gram.double() + (1 - alpha) * gram.double().diag().diag() for gram in inputs]
    ridge = RIDGE * sum(float(gram.diag().mean()) for gram in grams)
    eye = torch.eye(len(grams[0]), dtype=torch.float64)
    mean = torch.stack([weight.double() for weight in weights]).mean(0)
    if ridge == 0:
        return mean
    summed = torch.stack(grams).sum(0) + ridge * eye
    moved = ridge * mean
    for weight, gram in zip(weights, grams, strict=True):
        moved = moved + weight.double() @ gram
    solved: Tensor = torch.linalg.solve(summed, moved.T).T
    return solved
