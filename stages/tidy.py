"""python -m stages.tidy: remove what models and benchmarks that params.yaml no longer names have left behind.

DVC keeps the outputs of stages that are gone, and they would count in the folders that `merge`, `retrieve` and `score`
depend on. Their data stays in DVC's cache: naming them again brings them back without building.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from stages.shared import errors, models, params


def main() -> None:
    recipes, merges, benchmarks = params.read("recipes", "merges", "benchmarks")
    expected = {
        models.TRAINED: set(recipes),
        models.MERGED: set(merges),
        Path("data/runs"): {"base", *recipes, *merges},
        Path("data/benchmarks"): set(benchmarks),
        Path("metrics/training"): {f"{name}.csv" for name in recipes},
    }
    for folder, names in expected.items():
        for stale in sorted(folder.iterdir()) if folder.is_dir() else []:
            # Drafts of stages that were killed go too.
            if stale.name not in names and stale.name != ".gitignore":
                print(f"removing {stale}, which params.yaml does not name")
                shutil.rmtree(stale) if stale.is_dir() else stale.unlink()


if __name__ == "__main__":
    errors.run(main)
