"""Lexicons: what words are in another language."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.schemas.types import Schema

# <name>/<source lang>-<target lang>.parquet
LEXICONS_FOLDER = Path("data/lexicons")
# Beside a lexicon's tables: its source, its `pairs` of languages, those that it is `lacking`, and what was `dropped`.
LEXICON_RECORD = "about.json"

# Sorted by word, then score, the best first. `word` is in lower case and NFC: a form as it stands in texts, a stem, or
# several words joined by a blank.
LEXICON: Schema = {"word": pl.String, "translation": pl.String, "score": pl.Float64, "origin": pl.String}
# The source of one that has no words: whole texts are translated by a language model, with the prompt that it holds.
LLM = "llm"
PROMPT = Path("prompt.md")
