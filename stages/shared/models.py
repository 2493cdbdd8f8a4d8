"""Where models are: `base`, what recipes train and what merges compute each have their folder.

Trained and merged models are apart because a DVC stage cannot list as many dependencies as a merge has parts: a merge
depends on the folder of all that is trained.
"""

from collections.abc import Iterable
from pathlib import Path

MODELS = Path("models")
BASE = MODELS / "base"
TRAINED = MODELS / "trained"
MERGED = MODELS / "merged"
# What answers questions: a model's vectors of labelled entries.
INDEXES = MODELS / "indexes"
# In the folder of the base: how it is run (name, revision, pooling, prompts, ...).
RECORD = "encoder.json"


def source(name: str) -> Path:
    """The folder of `base` or of a recipe's model."""
    return BASE if name == "base" else TRAINED / name


def names(recipes: Iterable[str], merges: Iterable[str]) -> list[str]:
    """Every model of a study, the base first."""
    return ["base", *recipes, *merges]
