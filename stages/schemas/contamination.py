"""What the training sets hold of the benchmarks: metrics/contamination.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CONTAMINATION_METRICS = Path("metrics/contamination.json")
# {benchmark: {recipe: {language, or * for any of them: {count: share}}}}
ContaminationShares = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
