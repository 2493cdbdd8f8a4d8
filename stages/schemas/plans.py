"""What a merge is computed from: data/plans/<merge>/, a folder that hangs on nothing but that merge.

It holds `plan.json` and, for methods that learn from the rows a part was trained on, `<merge>.<part>.safetensors` of
each part: of `fisher` the importance of each weight, of `regmean` the mean outer product of each linear layer's inputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

PLANS_FOLDER = Path("data/plans")
PLAN_FILE = "plan.json"
# Of the merges whose weights were searched: what was found.
SEARCHES_FILE = Path("metrics/searches.json")
# In a file of importances: their mean over all weights.
MEAN_IMPORTANCE = "mean"


class Plan(BaseModel):
    """A merge with all that it names.

    Attributes:
        models: the parts, in order, and `weights` beside them, if the method takes any.
        base: what the parts are differences from, or where a path begins: the study's base, or the first part.
        layers: of a part, its weights in `embeddings`, `attention` and `feed_forward`.
        merged: the plans of those parts that are merges themselves.
        searched: how the weights were found, if they were searched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    method: str
    models: list[str]
    weights: list[float] | None = None
    parameters: dict[str, bool | int | float] = {}
    base: Literal["study", "first"] | None = None
    layers: dict[str, dict[str, Any]] = {}
    merged: dict[str, Plan] = {}
    searched: dict[str, Any] | None = None


def importance_file(folder: Path, merge: str, part: str) -> Path:
    return folder / f"{merge}.{part}.safetensors"
