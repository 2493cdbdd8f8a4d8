"""What models are worth, and which were chosen: metrics/summary.json."""

from __future__ import annotations

from pathlib import Path

SUMMARY_FILE = Path("metrics/summary.json")
# What it has beside the benchmarks, of each of which it has {model: {mono, cross, multi, language_bias}}.
SUMMARY_KEYS = ("metric", "selected_on", "best_recipe", "chosen_model", "contamination")
