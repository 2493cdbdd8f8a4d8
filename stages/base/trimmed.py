"""A pretrained encoder with the vocabulary that its study needs, and what that does to texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from stages.base import vocabulary
from stages.schemas.collected import COLLECTED_FOLDER, COLLECTED_PASSAGES, COLLECTED_QUERIES, GROUP_LABELS
from stages.settings.base import Kept
from stages.shared import query_normalizer, tables
from stages.shared.passages import by_language, passage_text
from stages.shared.pieces import shares
from stages.shared.roles import PROMPT_NAMES, Role

# The same two sentences in 27 languages, on which it is measured what a smaller vocabulary does to others.
SAMPLES = Path(__file__).with_name("samples.json")


def trim(
    model: SentenceTransformer, kept: Kept, languages: list[str], normalizer: dict[str, Any] | None
) -> tuple[Tokenizer, dict[str, Any]]:
    """Cut the vocabulary of `model` in place; returns the tokenizer of all pieces, and what the cut changes of the
    study's `texts` and of `samples` of other languages, by language."""
    own = texts(languages, normalizer, {role: model.prompts.get(name) or "" for role, name in PROMPT_NAMES.items()})
    distinct = list(dict.fromkeys(text for found in own.values() for text in found))
    whole = vocabulary.trim(model, distinct, [*languages, *kept.languages], kept.keep == "scripts")
    now = vocabulary.backend(model, "base.vocabulary")
    samples = json.loads(SAMPLES.read_text(encoding="utf-8"))
    return whole, {
        "texts": {lang: shares(whole, now, found) for lang, found in own.items()},
        "samples": {lang: shares(whole, now, [text]) for lang, text in samples.items()},
    }


def texts(languages: list[str], normalizer: dict[str, Any] | None, prompts: dict[Role, str]) -> dict[str, list[str]]:
    """All that the study's models read of the collection, with its prompt, by language.

    Queries of every split are read as passages as well, since those of a knowledge base are its entries; with a
    `normalizer` as they are and as it makes them. Descriptions of labels count to the first language.
    """
    passages = tables.read(COLLECTED_FOLDER / "passages.parquet", COLLECTED_PASSAGES).select("lang", passage_text())
    queries = tables.read(COLLECTED_FOLDER / "queries.parquet", COLLECTED_QUERIES).select("lang", "text")
    labels = tables.read(COLLECTED_FOLDER / "labels.parquet", GROUP_LABELS)
    queries = queries.filter(pl.col("lang").is_in(languages))
    if normalizer:
        normal = query_normalizer.Normalizer(normalizer)(queries["text"].to_list())
        queries = pl.concat([queries, queries.with_columns(text=pl.Series(normal, dtype=pl.String))])
    described = labels.select(lang=pl.lit(languages[0]), text="description")
    read = [
        *(table.with_columns(text=prompts["passage"] + pl.col("text")) for table in (passages, described, queries)),
        queries.with_columns(text=prompts["query"] + pl.col("text")),
    ]
    return by_language(pl.concat(read).sort("lang", maintain_order=True))
