"""Where passages come from: each source gives passages in every language and, if it has them, queries with
their judgements; what it leaves out is counted."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import polars as pl

from stages.shared import beir, jsonl, sentences
from stages.shared.errors import UserError
from stages.shared.params import Corpus
from stages.shared.tables import JUDGEMENTS, QUERIES


class Source(NamedTuple):
    """`passages` has the columns passage, lang, title, text, stratum."""

    passages: pl.DataFrame
    queries: pl.DataFrame
    judgements: pl.DataFrame
    dropped: Counter[str]


def read(corpus: Corpus, languages: list[str]) -> Source:
    """Read `corpus.path` and, if `corpus.queries` asks for it, hold each passage's lead out as its query."""
    if corpus.source == "none":
        fields = dict.fromkeys(["passage", "lang", "title", "text", "stratum"], pl.String)
        return Source(
            pl.DataFrame(schema=fields), pl.DataFrame(schema=QUERIES), pl.DataFrame(schema=JUDGEMENTS), Counter()
        )
    source = (_beir if corpus.source == "beir" else _jsonl)(corpus, languages)
    if source.passages.is_empty():
        raise UserError(f"{corpus.path} has no passage in all of {', '.join(languages)}: check corpus.columns")
    return hold_out_leads(source, languages) if corpus.queries == "held-out-lead" else source


def _jsonl(corpus: Corpus, languages: list[str]) -> Source:
    columns = corpus.columns
    assert columns is not None  # params.Corpus has checked it
    rows: list[tuple[str, str, str, str, str]] = []
    places: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    seen_languages: set[str] = set()
    for place, row in jsonl.rows(corpus.path):
        if len(places) == corpus.limit:
            break
        name = jsonl.text(row, columns.id, place)
        if name in places:
            raise UserError(f"{place} repeats the id {name!r} of {places[name]}: ids must differ")
        texts = {lang: _column(row, columns.text, lang, place) for lang in languages}
        seen_languages |= {lang for lang, text in texts.items() if text}
        if not name or not all(texts.values()):
            dropped["without id" if not name else "without text in every language"] += 1
            continue
        places[name] = place
        stratum = jsonl.text(row, columns.stratum, place) if columns.stratum else ""
        for lang, text in texts.items():
            title = _column(row, columns.title, lang, place) if columns.title else ""
            rows.append((name, lang, title, text, stratum))
    for lang in languages:
        if lang not in seen_languages:
            column = columns.text.replace("{lang}", lang)
            raise UserError(f"{corpus.path} has no text in {lang} (column {column!r}): remove it from languages")
    fields = dict.fromkeys(["passage", "lang", "title", "text", "stratum"], pl.String)
    passages = pl.DataFrame(rows, schema=fields, orient="row")
    return Source(passages, pl.DataFrame(schema=QUERIES), pl.DataFrame(schema=JUDGEMENTS), dropped)


def _column(row: dict, column: str, lang: str, place: str) -> str:
    return jsonl.text(row, column.replace("{lang}", lang), place)


def _beir(corpus: Corpus, languages: list[str]) -> Source:
    passages, queries, qrels = beir.read(corpus.path, languages)
    for lang in languages:
        if lang not in set(passages["lang"]):
            raise UserError(f"{corpus.path} has no corpus.{lang}.jsonl: remove {lang} from languages")
    everywhere = passages.group_by("passage").agg(pl.len()).filter(pl.col("len") == len(languages))
    kept = everywhere["passage"].sort().head(corpus.limit or everywhere.height)
    dropped = Counter({"not in every language": passages["passage"].n_unique() - everywhere.height})
    judgements = (
        qrels.filter(pl.col("passage").is_in(kept.implode()))
        .group_by("query", "passage")
        .agg(pl.col("relevance").max())
    )
    if corpus.queries != "source":
        queries, judgements = queries.clear(), judgements.clear()
    queries = queries.join(judgements, on="query", how="semi")
    passages = passages.filter(pl.col("passage").is_in(kept.implode())).with_columns(stratum=pl.lit(""))
    return Source(passages, queries, judgements, dropped)


def hold_out_leads(source: Source, languages: list[str]) -> Source:
    """A passage's title and first sentence become its query in each language and leave the passage, so that the
    query is no copy of what it must find. Passages that are one sentence in some language get no query; no
    passage keeps its title, or those without a query would stand out."""
    table = source.passages.with_columns(sentences=pl.col("text").map_elements(sentences.split, pl.List(pl.String)))
    askable = (
        table.group_by("passage").agg(pl.col("sentences").list.len().min().alias("least")).filter(pl.col("least") > 1)
    )
    has_query = pl.col("passage").is_in(askable["passage"].implode())
    lead = pl.concat_str([pl.col("title"), pl.col("sentences").list.first()], separator=" ").str.strip_chars()
    queries = table.filter(has_query).select(query=pl.col("passage") + "#lead", lang="lang", text=lead)
    judgements = askable.select(query=pl.col("passage") + "#lead", passage="passage", relevance=pl.lit(1, pl.Int32))
    rest = pl.col("sentences").list.slice(1).list.join(" ")
    passages = table.with_columns(title=pl.lit(""), text=pl.when(has_query).then(rest).otherwise(pl.col("text"))).drop(
        "sentences"
    )
    counted = Counter({"of one sentence, so without a query": table["passage"].n_unique() - askable.height})
    return Source(passages, queries, judgements, source.dropped + counted)
