"""FEVEROUS (arXiv 2106.05707), retrieval of evidence: claims `feverous_<split>_challenges.jsonl` (or `<split>.jsonl`)
and the Wikipedia of the release, `feverous_wikiv1.db` (SQLite) or pages as JSON Lines (`wiki_*.jsonl`). English.

A passage is a sentence, an item of a list or a whole table (caption, then rows) of a page, with the page's title; a
cell or caption that is evidence stands for its table. All evidence sets of a claim are relevant. Searched are the pages
that some claim of the split has evidence on, not all 5.4 million: an easier task than the shared task's, and so stated
in the log. Section headings and page titles as evidence are left out.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from stages.benchmarks.parts import Parts, one
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QUERIES
from stages.schemas.texts import QRELS
from stages.shared import jsonl, records
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

log = logging.getLogger("benchmarks")
# `<page>_cell_<table>_<row>_<column>`, and so on; a page's name may have underscores too.
ELEMENT = re.compile(r"(?P<page>.+?)_(?P<kind>sentence|item|cell|header_cell|table_caption)_(?P<number>\d+)(?:_\d+)*")


def read(folder: Path, wanted: Wanted, split: str | None) -> Parts:
    english = next(iter(wanted.each(["en"], str(folder))), None)
    if english is None:
        raise UserError("FEVEROUS is in English: name en in the benchmark's languages")
    split = split or "dev"
    claims = one(folder, rf"(?:feverous_)?{split}(?:_challenges)?\.jsonl", f"feverous_{split}_challenges.jsonl")
    queries, judged, pages, dropped = [], [], set(), 0
    for place, row in jsonl.rows(claims):
        if not row.get("claim"):
            continue  # the release begins with a line of empty fields
        name = jsonl.text(row, "id", place)
        queries.append((name, english, jsonl.text(row, "claim", place)))
        for element in sorted({element for found in row["evidence"] for element in found["content"]}):
            if match := ELEMENT.fullmatch(element):
                page, kind, number = match["page"], match["kind"], match["number"]
                judged.append((name, element if kind in ("sentence", "item") else f"{page}_table_{number}", 1))
                pages.add(page)
            else:
                dropped += 1
    passages = records.frame(
        (p for page, data in _pages(folder, pages) for p in _elements(page, data, english)), BENCHMARK_PASSAGES
    )
    log.info(
        f"FEVEROUS: {len(pages):,} pages with evidence are searched, not the whole Wikipedia; "
        f"{dropped:,} headings and titles that are evidence are left out"
    )
    return Parts(
        passages.lazy(),
        pl.DataFrame(queries, schema=BENCHMARK_QUERIES, orient="row"),
        pl.DataFrame(judged, schema=QRELS, orient="row").unique(maintain_order=True),
        left_out={"headings and titles that are evidence": dropped},
    )


def _pages(folder: Path, wanted: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if databases := sorted(folder.rglob("*.db")):
        with closing(sqlite3.connect(f"{databases[0].resolve().as_uri()}?mode=ro", uri=True)) as wiki:
            for page in sorted(wanted):
                try:
                    found = wiki.execute("SELECT data FROM wiki WHERE id = ?", (page,)).fetchone()
                except sqlite3.Error as error:
                    raise UserError(f"{databases[0]} is not FEVEROUS's Wikipedia ({error}): check the path") from None
                if found:
                    yield page, _parsed_page(found[0], page, databases[0])
        return
    shards = sorted(path for path in folder.rglob("wiki_*.jsonl*") if path.is_file())
    if not shards:
        raise UserError(f"{folder} has no feverous_wikiv1.db and no wiki_*.jsonl: add the release's Wikipedia")
    for shard in shards:
        for place, data in jsonl.rows(shard):
            if (title := jsonl.text(data, "title", place)) in wanted:
                yield title, data


def _parsed_page(text: str, page: str, database: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise UserError(f"{database} is damaged (its page {page!r} is not JSON): take it from the release") from None


def _elements(page: str, data: dict[str, Any], english: str) -> Iterator[tuple[str, str, str, str]]:
    for name, text in _texts(page, data):
        if text:
            yield name, english, page, text


def _texts(page: str, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if key.startswith("sentence_"):
            yield f"{page}_{key}", _plain(value)
        elif key.startswith("list_"):
            yield from ((f"{page}_{item['id']}", _plain(item["value"])) for item in value["list"])
        elif key.startswith("table_"):
            rows = [" | ".join(_plain(cell["value"]) for cell in row) for row in value["table"]]
            yield f"{page}_{key}", " ".join(filter(None, [_plain(value.get("caption") or ""), *rows]))


def _plain(text: str) -> str:
    """Without the marks of links, `[[page|text]]`."""
    return " ".join(re.sub(r"\[\[(?:[^\]|]*\|)?([^\]|]*)\]\]", r"\1", text).split())
