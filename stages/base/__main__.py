"""base: the encoder every recipe starts from, bootstrapped or pretrained, in `models/base`."""

import logging
from typing import Any

import polars as pl

from stages.shared import collection, errors, models, params, romanised, tables

log = logging.getLogger("base")


def main() -> None:
    base, languages, seed = params.read("base", "languages", "seed")
    # torch takes seconds to import: not before the params are known to be right.
    from stages.base import static
    from stages.shared import pretrained, training

    name = normalizer = None
    if base.name == "static":
        unused = [key for key in ("pooling", "prompts", "max_length", "padding", "attention") if getattr(base, key)]
        if unused:
            raise errors.UserError(f"base.{unused[0]} does not apply to base.name static: write null")
    if base.normalize:
        normalizer = learnt(base.normalize, collection.read_passages(), collection.read_entries(languages))
    if base.name == "static":
        read = (collection.CORPUS, *(collection.SYNTHETIC / f"{table}.parquet" for table in ("passages", "entries")))
        name = training.fingerprint("static", base.static, languages, seed, normalizer, *read)
        model = static.bootstrap(documents(languages, normalizer), languages, base.static, seed, name)
        record = {"name": "static", "preset": None, "revision": None, **pretrained.describe(model)}
    else:
        model, record = pretrained.load(base, "base")
    with tables.replacing(models.BASE) as draft:
        training.save(model, draft)
        tables.write_json(record, draft / models.RECORD)
        if normalizer:
            tables.write_json(normalizer, draft / romanised.FILE)
    if name:
        training.forget(name)
    log.info(f"models/base: {base.name}, {record['dimension']} dimensions")


def documents(languages: list[str], normalizer: dict[str, Any] | None) -> pl.DataFrame:
    """What a static base is bootstrapped from (tables.BENCHMARK_PASSAGES)."""
    entries = collection.read_entries(languages).select("lang", "text", passage="query", title=pl.lit(""))
    if normalizer:  # it will see them as queries
        entries = entries.with_columns(text=pl.Series(romanised.Normalizer(normalizer)(entries["text"].to_list())))
    both = (collection.read_passages(), entries)
    return pl.concat([table.select(*tables.BENCHMARK_PASSAGES) for table in both])


def learnt(parts: params.Normalize, passages: pl.DataFrame, entries: pl.DataFrame) -> dict[str, Any]:
    """What the normaliser keeps of the training queries `entries` of a labelled collection.

    Spellings are learnt of queries in languages that the passages lack, if there are any: queries in the passages'
    languages then say, like the passages, which words are right.
    """
    known = entries["lang"].is_in(passages["lang"].unique().implode())
    if known.all():
        known = ~known
    texts = passages.select(tables.passage_text())["text"]
    return romanised.learn(parts.model_dump(), entries.filter(~known)["text"], [*texts, *entries.filter(known)["text"]])


if __name__ == "__main__":
    errors.run(main)
