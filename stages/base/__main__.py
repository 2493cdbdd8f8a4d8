"""base: the encoder every recipe starts from, bootstrapped or pretrained, in `models/base`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from stages.schemas.collected import COLLECTED_FOLDER, COLLECTED_PASSAGES, KNOWLEDGE_ENTRIES
from stages.settings.base import Base, QueryNormalizer, Static, read_base
from stages.settings.languages import read_languages
from stages.settings.seed import read_seed
from stages.shared import errors, models, pieces, query_normalizer, tables
from stages.shared.passages import passage_text

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger("base")
BASE_METRICS = Path("metrics/base.json")


def main() -> None:
    base, languages, seed = read_base(), read_languages(), read_seed()
    # torch takes seconds to import: not before the params are known to be right.
    from stages.shared import saving, training

    name = normalizer = whole = None
    if base.name == "static" and not base.static.from_:
        unused = [key for key in ("pooling", "prompts", "max_length", "padding", "attention") if getattr(base, key)]
        if unused:
            raise errors.UserError(f"base.{unused[0]} does not apply to base.name static: write null")
    if base.name == "static" or base.query_normalizer:  # a pretrained encoder alone is of no collection
        passages, entries = documents(languages)
    if base.query_normalizer:
        normalizer = learnt(base.query_normalizer, passages, entries)
    if base.name == "static":
        seen = together(of_split(passages, base.static), entries, normalizer)
        model, record, name, report = bootstrapped(base, seen, languages, seed, normalizer)
    else:
        from stages.shared import pretrained

        model, record = pretrained.load(base, "base")
        report = {"encoder": size(model)}
        if base.vocabulary != "all":
            from stages.base import trimmed

            whole, changes = trimmed.trim(model, base.vocabulary, languages, normalizer)
            report |= changes
            record["vocabulary"] = f"{size(model)['pieces']:,} of {whole.get_vocab_size():,} pieces"
    if COLLECTED_FOLDER.is_dir():  # a pretrained encoder is made without a collection as well
        from stages.base import trimmed

        read = trimmed.texts(languages, None, {"query": "", "passage": ""})
        record["unknown"] = pieces.known(model.tokenizer, read, f"base.name {base.name!r}")
    with tables.replacing(models.BASE) as draft:
        saving.save(model, draft)
        tables.write_json(record, draft / models.RECORD)
        if normalizer:
            tables.write_json(normalizer, draft / models.NORMALIZER)
        if whole:
            whole.save(str(draft / models.WHOLE_TOKENIZER))
    tables.write_json({"base": size(model), **report}, BASE_METRICS)
    if name:
        training.forget(name)
    log.info(f"models/base: {base.name}, {record['dimension']} dimensions")


def size(model: SentenceTransformer) -> dict[str, int]:
    """How many pieces a model knows, and the bytes of its weights."""
    tokenizer = model.tokenizer
    pieces = tokenizer.get_vocab_size() if hasattr(tokenizer, "get_vocab_size") else len(tokenizer)
    return {"pieces": pieces, "bytes": sum(p.numel() * p.element_size() for p in model.parameters())}


def documents(languages: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The passages, and the entries of a knowledge base: its training queries, which are documents as well."""
    passages = tables.read(COLLECTED_FOLDER / "passages.parquet", COLLECTED_PASSAGES)
    entries = tables.read(COLLECTED_FOLDER / "entries.parquet", KNOWLEDGE_ENTRIES)
    return passages, entries.filter(pl.col("lang").is_in(languages))


def of_split(passages: pl.DataFrame, static: Static) -> pl.DataFrame:
    """The passages that a static base may see; raises `UserError` if there are none."""
    seen = passages if static.documents == "all" else passages.filter(split="train")
    if seen.is_empty() and not passages.is_empty():
        raise errors.UserError("base.static.documents is train, but no passage is of that split: write all")
    return seen


def together(passages: pl.DataFrame, entries: pl.DataFrame, normalizer: dict[str, Any] | None) -> pl.DataFrame:
    """What a static base is bootstrapped from: columns passage, lang, title and text."""
    if normalizer:  # it will see them as queries
        texts = query_normalizer.Normalizer(normalizer)(entries["text"].to_list())
        entries = entries.with_columns(text=pl.Series(texts, dtype=pl.String))
    titled = entries.select("lang", "text", passage="query", title=pl.lit(""))
    return pl.concat(table.select("passage", "lang", "title", "text") for table in (passages, titled))


def learnt(parts: QueryNormalizer, passages: pl.DataFrame, entries: pl.DataFrame) -> dict[str, Any]:
    """What the normaliser keeps of the training queries `entries` of a labelled collection.

    Spellings are learnt of queries in languages that the passages lack, if there are any: queries in the passages'
    languages then say, like the passages, which words are right.
    """
    known = entries["lang"].is_in(passages["lang"].unique().implode())
    if known.all():
        known = ~known
    texts = passages.select(passage_text())["text"]
    return query_normalizer.learn(
        parts.model_dump(), entries.filter(~known)["text"], [*texts, *entries.filter(known)["text"]]
    )


def bootstrapped(
    base: Base, seen: pl.DataFrame, languages: list[str], seed: int, normalizer: dict[str, Any] | None
) -> tuple[SentenceTransformer, dict[str, Any], str, dict[str, Any]]:
    """The static base of the documents `seen`, its record, the name of its checkpoints, and what is counted of it."""
    from stages.base import distilled, static
    from stages.shared import pretrained, training

    start = origin = None
    if base.static.from_:
        encoder = base.model_copy(update={"name": base.static.from_})
        tokenizer, table, origin = distilled.start(encoder, static.texts(seen), languages, base.static.dimension)
        start = (tokenizer, table)
    read = (COLLECTED_FOLDER / "passages.parquet", COLLECTED_FOLDER / "entries.parquet")
    name = training.fingerprint("static", base.static, languages, seed, normalizer, origin, *read)
    model = static.bootstrap(seen, languages, base.static, seed, name, start)
    record = {"name": "static", "preset": None, "revision": None, **pretrained.describe(model)}
    record["trust_remote_code"] = False
    if origin:
        record["from"] = " ".join(filter(None, (origin["name"], origin["revision"])))
        if "weights" in origin:
            record["weights"] = f"begun with {origin['weights']}"
    return model, record, name, {"documents": seen.height}


if __name__ == "__main__":
    errors.run(main)
