"""What each model cost to train: a merge costs what its recipes do, each counted once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.settings.merges import Merge
from stages.settings.recipes import Recipe
from stages.shared.errors import UserError
from stages.shared.models import BASE_NAME


def costs(
    recipes: Mapping[str, Recipe],
    merges: Mapping[str, Merge],
    trainsets: Mapping[str, Any],
    steps: int,
    batch_size: int,
) -> dict[str, dict[str, Any]]:
    """{model: {recipes, steps, examples, rows}} of the base, the recipes and the merges.

    Examples are the queries of all steps, each with its positive and negatives, as often as it was seen; rows those of
    the training sets, as `trainsets` {recipe: {composition: {rows}}} counted them. `steps` and `batch_size` are those
    of recipes that say nothing else. Raises `UserError` if the counts are not of this study.
    """
    own: dict[str, tuple[int, int, int]] = {}
    for name, recipe in recipes.items():
        if name not in trainsets:
            raise UserError(f"metrics/trainsets.json says nothing of {name}: run `dvc repro`")
        taken, size = recipe.train.steps or steps, recipe.train.batch_size or batch_size
        rows = sum(counts["rows"] for counts in trainsets[name].values())
        own[name] = (taken, taken * min(size, rows), rows)
    found = {}
    for model in (BASE_NAME, *recipes, *merges):
        parts = _recipes(model, recipes, merges)
        sums = (sum(own[part][i] for part in parts) for i in range(3))
        found[model] = {"recipes": parts, **dict(zip(("steps", "examples", "rows"), sums, strict=True))}
    return found


def _recipes(model: str, recipes: Mapping[str, Recipe], merges: Mapping[str, Merge]) -> list[str]:
    """The recipes that a model is made of, by way of others, each once."""
    if model in merges:
        within = [name for part in merges[model].parts for name in _recipes(part, recipes, merges)]
        return list(dict.fromkeys(within))
    return [model] if model in recipes else []
