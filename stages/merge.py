"""merge: one model computed from the weights of others (SentenceTransformer.merge, over mergekit).

Methods of task vectors (task arithmetic, TIES, DARE, DELLA, breadcrumbs, SCE, model stock) take the parts as
differences from the study's base; a path between two models (SLERP) begins at the first. Those that draw at random are
seeded by the study's seed and the merge's name.

Pooling, normalisation, prompts, maximal length, padding side and the normaliser of queries are those of the parts,
which must agree on them.
"""

import copy
import logging
from pathlib import Path
from typing import Any

from stages.settings.freeze import Freeze
from stages.settings.merges import Merge, read_merge
from stages.settings.seed import read_seed
from stages.shared import encoder, errors, files, member, models, saving, seeds, tables
from stages.shared.errors import UserError

log = logging.getLogger("merge")


def main() -> None:
    name = member.name("merge")
    merge, record = read_merge(name), models.base_record()
    trusted = record["trust_remote_code"]
    parts = {part: models.source(part) for part in merge.parts}
    if merge.on_base:
        parts[models.BASE_NAME] = models.BASE
    for part, folder in parts.items():
        if not (folder / "modules.json").is_file():
            raise UserError(f"merges.{name} needs the model {part!r}, but {folder} is missing: run `dvc repro`")
    import torch
    from sentence_transformers import SentenceTransformer

    loaded = [encoder.opened(folder, "cpu", trust_remote_code=trusted) for folder in parts.values()]
    agree(name, {part: traits(model, parts[part]) for part, model in zip(parts, loaded, strict=True)})
    if trusted:
        loaded = [loaded[0], *(as_same_class(loaded[0], other) for other in loaded[1:])]
    frozen = next((found["frozen"] for folder in parts.values() if "frozen" in (found := models.record(folder))), None)
    same = equal_weights(loaded)
    if frozen:
        refuse_parted(name, list(parts), loaded, Freeze.model_validate(frozen))
    base = loaded[len(merge.parts)] if merge.on_base else loaded[0] if merge.takes.base == "first" else None
    torch.manual_seed(seeds.number(read_seed(), "merges", name))
    try:
        # Sums are taken in float32.
        merged = SentenceTransformer.merge(
            loaded[: len(merge.parts)],
            merge.method,
            base_model=base,
            parameters=parameters(merge),
            out_dtype=record["dtype"],
        )
    except ValueError as error:
        raise UserError(f"merges.{name}: {', '.join(parts)} cannot be merged: {error}") from None
    merged.load_state_dict(same, strict=False)
    with tables.replacing(models.MERGED / name) as draft:
        saving.save(merged, draft)
        models.copy_record(models.BASE, draft, frozen)
        models.copy_normalizer(next(iter(parts.values())), draft)
    log.info(f"{name}: {merge.method} of {', '.join(merge.parts)}")


def parameters(merge: Merge) -> dict[str, Any]:
    """What mergekit is told, in its words. A linear merge's weights are scaled to add up to 1 unless `normalize` is
    false; a weight or a density is each part's."""
    weights = {"weight": list(merge.weights.values())} if merge.weights else {}
    return {**weights, **merge.parameters}


def agree(name: str, found: dict[str, dict[str, Any]]) -> None:
    """Raise `UserError` if the parts differ in a trait, all of which the merged model takes from the first unasked."""
    first, *others = found
    for trait, value in found[first].items():
        for other in others:
            if found[other][trait] != value:
                raise UserError(
                    f"merges.{name}: {first} and {other} differ in {trait} ({value!r}, {found[other][trait]!r}): "
                    "merge models of one base"
                )


def as_same_class(model: Any, other: Any) -> Any:
    """`other` as an instance of `model`'s classes: a model's own code is loaded once for each folder, and the classes
    then differ for mergekit though they are the same."""
    kinds = [type(getattr(m[0], "auto_model", m[0])) for m in (model, other)]
    if kinds[0] is kinds[1] or kinds[0].__qualname__ != kinds[1].__qualname__:
        return other
    same = copy.deepcopy(model)
    same.load_state_dict(other.state_dict())
    return same


def equal_weights(loaded: list[Any]) -> dict[str, Any]:
    """Weights that are the same in all parts, such as frozen ones: sums of them would differ in the last bits, and what
    is kept of them be of no use."""
    first, *others = (model.state_dict() for model in loaded)
    return {
        name: tensor
        for name, tensor in first.items()
        if all(name in other and tensor.equal(other[name]) for other in others)
    }


def refuse_parted(name: str, parts: list[str], loaded: list[Any], frozen: Freeze) -> None:
    """Raise `UserError` if the parts differ in what their training is said to have `frozen`."""
    from stages.shared import trunk

    first, *others = (
        [tensor for part in trunk.frozen(model, frozen) for tensor in part.state_dict().values()] for model in loaded
    )
    for part, other in zip(parts[1:], others, strict=True):
        if not all(one.equal(its) for one, its in zip(first, other, strict=True)):
            raise UserError(
                f"merges.{name}: {parts[0]} and {part} differ in what is said to be frozen: merge models of one "
                "train.freeze"
            )


def traits(model: Any, folder: Path) -> dict[str, Any]:
    names = ("prompts", "default_prompt_name", "max_seq_length", "similarity_fn_name")
    # A static model's tokenizer does not pad.
    padding = getattr(model.tokenizer, "padding_side", None)
    file = folder / models.NORMALIZER
    digest = files.content(file)[:8] if file.is_file() else None
    return {**{name: getattr(model, name) for name in names}, "padding_side": padding, models.NORMALIZER: digest}


if __name__ == "__main__":
    errors.run(main)
