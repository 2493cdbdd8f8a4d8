"""Utterances with an intent: those of training are searched, those of a split (test) ask, and all of the same intent
are relevant, so that accuracy@1 is the accuracy of the nearest neighbour's intent (as in arXiv 2506.02527).

- massive (arXiv 2204.08582): `1.1/data/<locale>.jsonl` of amazon-massive-dataset-1.1.tar.gz
- mtop (arXiv 2008.09335): `<language>/{train,eval,test}.txt` of the release
- both also as MTEB has them, `<language>/{train,validation,test}.{jsonl,parquet}`: mteb/amazon_massive_intent, revision
  4672e20407010da34463acc759c162ca9734bca6; mteb/MTOPIntentClassification, 2992d820f31312593c49a4890430aadadb0f0039
- hinglish-top (arXiv 2211.07514): `Dataset/Human Annotated Data/{train,validation,test}.tsv` of the repository
  google-research-datasets/Hinglish-TOP-Dataset, commit 74dbae2a9f3db0c35c5bc7b7c5e785627c1e0128, or JSON Lines of the
  same names with `en`, `cs` and `intent`. The code-switched utterances are hi-Latn.
- intents: `index.<language>.{jsonl,csv,tsv,parquet}` and `queries.<language>...`, with the benchmark's `columns`

Utterances of one id are parallel. If those of an id differ in intent, ids are each language's own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from stages.benchmarks.parts import Parts, by_language, one
from stages.schemas.benchmarks import BENCHMARK_LABELS, BENCHMARK_QRELS
from stages.settings.benchmarks import IntentColumns
from stages.shared import jsonl, records, separated
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

log = logging.getLogger("benchmarks")
UTTERANCES = {"part": pl.String, "id": pl.String, "lang": pl.String, "text": pl.String, "label": pl.String}
Utterance = tuple[str, str, str, str, str]
# What the sets call one split.
NAMES = {"train": "train", "dev": "dev|validation|eval", "validation": "dev|validation|eval", "test": "test"}


def read(folder: Path, wanted: Wanted, source: str, split: str | None, columns: IntentColumns | None) -> Parts:
    asked = split or "test"
    if asked == "train":
        raise UserError(f"{folder}: what train has is searched, so another split must ask: set split to test or dev")
    if columns:
        found = _generic(folder, wanted, columns)
    elif source == "hinglish-top":
        found = _hinglish(folder, wanted, asked)
    elif source == "mtop" and list(folder.rglob("train.txt")):
        found = _mtop(folder, wanted, asked)
    elif source == "massive" and _massive_files(folder):
        found = _massive(folder, wanted, asked)
    else:
        found = _mteb(folder, wanted, asked)
    table = records.frame(found, UTTERANCES).filter((pl.col("text") != "") & (pl.col("label") != ""))
    for part in ("train", asked):
        if table.filter(part=part).is_empty():
            raise UserError(
                f"{folder} has no utterance of {part} in {', '.join(wanted.languages)}: check split and languages"
            )
    if (table.group_by("part", "id").agg(pl.col("label").n_unique())["label"] > 1).any():
        log.info(f"{folder}: ids are not the same utterances in all languages, so they are taken for each one's own")
        table = table.with_columns(id=pl.concat_str("lang", pl.lit(":"), "id"))
    index, queries = table.filter(part="train"), table.filter(part=asked)
    labels = queries.select("label", query="id").unique(maintain_order=True)
    qrels = labels.join(index.select("label", "lang", passage="id"), on="label")
    if unseen := labels["query"].n_unique() - qrels["query"].n_unique():
        log.warning(
            f"{folder}: {unseen:,} queries have a label that training lacks, and are left out; published accuracy "
            "counts them as wrong"
        )
    return Parts(
        index.select("lang", "text", passage="id", title=pl.lit("")).select("passage", "lang", "title", "text").lazy(),
        queries.select("lang", "text", query="id").select("query", "lang", "text"),
        qrels.with_columns(relevance=pl.lit(1, pl.Int32)).select(*BENCHMARK_QRELS),
        pl.concat(
            part.select("id", "label", kind=pl.lit(kind)).unique().select(*BENCHMARK_LABELS)
            for kind, part in (("passage", index), ("query", queries))
        ),
        left_out={"queries of a label that training lacks": unseen},
    )


def _massive_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.jsonl*") if re.fullmatch(r"[a-z]{2}-[A-Z]{2}\.jsonl(\.gz)?", path.name)]


def _massive(folder: Path, wanted: Wanted, asked: str) -> Iterator[Utterance]:
    parts = {"train": "train", **dict.fromkeys(NAMES.get(asked, asked).split("|"), asked)}
    files = by_language(folder, r"(?P<lang>[a-z]{2}-[A-Z]{2})\.jsonl(?:\.gz)?", wanted, "1.1/data/<locale>.jsonl")
    for lang, paths in files.items():
        for path in paths:
            for place, row in jsonl.rows(path):
                if part := parts.get(row.get("partition", "")):
                    yield _utterance(row, part, lang, place, "id", "utt", "intent")


def _mtop(folder: Path, wanted: Wanted, asked: str) -> Iterator[Utterance]:
    for part in ("train", asked):
        pattern = rf"(?P<lang>[a-z]{{2}})/(?:{NAMES.get(part, part)})\.txt"
        for lang, paths in by_language(folder, pattern, wanted, f"<language>/{part}.txt").items():
            for place, fields in separated.fields(paths[0]):
                if len(fields) < 4:
                    raise UserError(f"{place} is no utterance of MTOP: id, intent, slots and utterance are wanted")
                yield part, fields[0], lang, " ".join(fields[3].split()), fields[1]


def _mteb(folder: Path, wanted: Wanted, asked: str) -> Iterator[Utterance]:
    for part in ("train", asked):
        shard = r"(?:-\d{5}-of-\d{5})?\.(?:jsonl(?:\.gz)?|parquet)"
        pattern = rf"(?P<lang>[A-Za-z]{{2,3}}(?:[-_][A-Za-z]+)?)/(?:\w+-)?(?:{NAMES.get(part, part)}){shard}"
        for lang, paths in by_language(folder, pattern, wanted, f"<language>/{part}.jsonl or .parquet").items():
            for path in paths:
                for number, (place, row) in enumerate(records.rows(path)):
                    label = "label_text" if "label_text" in row else "label" if "label" in row else "intent"
                    row.setdefault("id", str(number))
                    yield _utterance(row, part, lang, place, "id", "text" if "text" in row else "utt", label)


def _hinglish(folder: Path, wanted: Wanted, asked: str) -> Iterator[Utterance]:
    keys = {"en": "en", "hi-Latn": "cs"}
    texts = {lang: keys[own] for lang, own in wanted.each(keys, str(folder)).items()}
    for part in ("train", asked):
        pattern = rf"(?:{NAMES.get(part, part)})\.(?:tsv|jsonl(?:\.gz)?)"
        for number, (place, row) in enumerate(records.rows(one(folder, pattern, f"{part}.tsv or {part}.jsonl"))):
            tsv = "en_parse" in row and "intent" not in row
            label = re.match(r"\[IN:(\w+)", jsonl.text(row, "en_parse", place)) if tsv else None
            intent = label[1] if label else "" if tsv else jsonl.text(row, "intent", place)
            for lang, key in texts.items():
                text = jsonl.text(row, f"{key}_query" if tsv else key, place)
                name = f"{part}-{number}" if row.get("id") is None else str(row["id"])
                yield part, name, lang, text, intent


def _generic(folder: Path, wanted: Wanted, columns: IntentColumns) -> Iterator[Utterance]:
    for part, kind in (("train", "index"), ("test", "queries")):
        pattern = rf"{kind}\.(?P<lang>[^./]+)\.(?:(?:jsonl|csv|tsv)(?:\.gz)?|parquet)"
        for lang, paths in by_language(folder, pattern, wanted, f"{kind}.<language>.jsonl").items():
            for number, (place, row) in enumerate(records.rows(paths[0])):
                if columns.id is None:
                    row["#"] = str(number)
                yield _utterance(row, part, lang, place, columns.id or "#", columns.text, columns.label)


def _utterance(row: dict[str, Any], part: str, lang: str, place: str, *keys: str) -> Utterance:
    name, text, label = (jsonl.text(row, key, place) for key in keys)
    return part, name, lang, text, label
