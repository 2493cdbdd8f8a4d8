"""The chosen model: its folder, and what its exports cost."""

from __future__ import annotations

from pathlib import Path

CHOSEN_FOLDER = Path("models/chosen")
# {model, benchmark, metric, exports: {name: {mono, cross, multi, lost: {mono, ...}, megabytes, speed}}}
CHOSEN_METRICS = Path("metrics/chosen.json")
