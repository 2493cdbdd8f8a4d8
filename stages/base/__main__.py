"""base: the encoder every recipe starts from, bootstrapped or pretrained, in `models/base`."""

import logging
from typing import Any

import polars as pl

from stages.schemas.collected import COLLECTED_FOLDER, COLLECTED_PASSAGES, KNOWLEDGE_ENTRIES
from stages.settings.base import QueryNormalizer, read_base
from stages.settings.languages import read_languages
from stages.settings.seed import read_seed
from stages.shared import errors, models, query_normalizer, tables
from stages.shared.passages import passage_text

log = logging.getLogger("base")


def main() -> None:
    base, languages, seed = read_base(), read_languages(), read_seed()
    # torch takes seconds to import: not before the params are known to be right.
    from stages.base import static
    from stages.shared import pretrained, saving, training

    name = normalizer = None
    if base.name == "static":
        unused = [key for key in ("pooling", "prompts", "max_length", "padding", "attention") if getattr(base, key)]
        if unused:
            raise errors.UserError(f"base.{unused[0]} does not apply to base.name static: write null")
    if base.name == "static" or base.query_normalizer:  # a pretrained encoder alone is of no collection
        passages, entries = documents(languages)
    if base.query_normalizer:
        normalizer = learnt(base.query_normalizer, passages, entries)
    if base.name == "static":
        read = (COLLECTED_FOLDER / "passages.parquet", COLLECTED_FOLDER / "entries.parquet")
        name = training.fingerprint("static", base.static, languages, seed, normalizer, *read)
        model = static.bootstrap(together(passages, entries, normalizer), languages, base.static, seed, name)
        record = {"name": "static", "preset": None, "revision": None, **pretrained.describe(model)}
        record["trust_remote_code"] = False
    else:
        model, record = pretrained.load(base, "base")
    with tables.replacing(models.BASE) as draft:
        saving.save(model, draft)
        tables.write_json(record, draft / models.RECORD)
        if normalizer:
            tables.write_json(normalizer, draft / models.NORMALIZER)
    if name:
        training.forget(name)
    log.info(f"models/base: {base.name}, {record['dimension']} dimensions")


def documents(languages: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The passages, and the entries of a knowledge base: its training queries, which are documents as well."""
    passages = tables.read(COLLECTED_FOLDER / "passages.parquet", COLLECTED_PASSAGES)
    entries = tables.read(COLLECTED_FOLDER / "entries.parquet", KNOWLEDGE_ENTRIES)
    return passages, entries.filter(pl.col("lang").is_in(languages))


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


if __name__ == "__main__":
    errors.run(main)
