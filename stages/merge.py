"""merge: one model computed from the weights of others (SentenceTransformer.merge, over mergekit).

Pooling, normalisation, prompts and maximal length are those of the parts, which must agree on them.
"""

import logging
import sys

from stages.shared import errors, models, params, tables
from stages.shared.errors import UserError

log = logging.getLogger("merge")


def main() -> None:
    name = sys.argv[1]
    merge, dtype, trusted = params.read(f"merges.{name}", "base.dtype", "base.trust_remote_code")
    parts = {part: models.source(part) for part in merge.weights}
    for part, folder in parts.items():
        if not (folder / "modules.json").is_file():
            raise UserError(f"merges.{name} needs the model {part!r}, but {folder} is missing: run `dvc repro`")
    from sentence_transformers import SentenceTransformer

    from stages.shared import training

    loaded = [
        SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=trusted)
        for folder in parts.values()
    ]
    agree(name, dict(zip(parts, loaded, strict=True)))
    try:
        # Weights are scaled to add up to 1; sums are taken in float32.
        merged = SentenceTransformer.merge(
            loaded, merge.method, parameters={"weight": list(merge.weights.values())}, out_dtype=dtype
        )
    except ValueError as error:
        raise UserError(f"merges.{name}: {', '.join(parts)} cannot be merged: {error}") from None
    with tables.replacing(models.MERGED / name) as draft:
        training.save(merged, draft)
    log.info(f"{name}: " + " + ".join(f"{weight:g} {part}" for part, weight in merge.weights.items()))


def agree(name: str, loaded: dict) -> None:
    """Raise `UserError` if the parts differ in what `SentenceTransformer.merge` takes from the first unasked."""
    first, *others = loaded
    for trait in ("prompts", "default_prompt_name", "max_seq_length", "similarity_fn_name"):
        for other in others:
            values = [getattr(loaded[part], trait) for part in (first, other)]
            if values[0] != values[1]:
                raise UserError(
                    f"merges.{name}: {first} and {other} differ in {trait} ({values[0]!r}, {values[1]!r}): "
                    "merge models of one base"
                )


if __name__ == "__main__":
    errors.run(main)
