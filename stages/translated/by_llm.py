"""Benchmarks translated by a language model, each text by itself, so that its translation depends on no other and a
reply that is kept is found again whatever else a benchmark has."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from typing import Any

import polars as pl

from stages.schemas.lexicons import LEXICONS_FOLDER, PROMPT
from stages.settings.llm import Llm
from stages.settings.translated import Translated
from stages.shared.errors import UserError
from stages.shared.llm.prompts import Prompts
from stages.shared.llm.session import Session, WritingTask
from stages.shared.llm.texts import translated
from stages.shared.ranking import Tables

log = logging.getLogger("translated")


class ByLlm:
    """Translates benchmarks, and counts the texts that it did not; these stay as they are, as far as `llm.max_failed`
    allows. A context manager that closes the cache: one budget is for all benchmarks."""

    def __init__(self, settings: Translated, llm: Llm, varieties: dict[str, str]) -> None:
        self.settings, self.llm = settings, llm
        self.session = Session(self.llm, asker="translated", instead="remove the row of `translated`")
        self.prompts = Prompts(varieties, LEXICONS_FOLDER / settings.lexicon)
        self.texts = Counter[str]()
        self.failed = Counter[str]()

    def __enter__(self) -> ByLlm:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.__exit__()

    def benchmark(self, found: Tables) -> Tables:
        """`found` in the language `into`; raises `UserError` if asking has to stop, if too many texts fail, or if a
        recorded study lacks replies."""
        queries = found.queries.with_columns(title=pl.lit(""))
        sides = {"query": queries} | ({"passage": found.passages} if self.settings.side == "both" else {})
        wanted = {
            (lang, title, text): f"{side} {text[:60]!r} from {lang}"
            for side, table in sides.items()
            for lang, title, text in table.select("lang", "title", "text").iter_rows()
            if lang != self.settings.into and (title or text)
        }
        done = self._asked(wanted)
        written = {side: _replaced(table, done) for side, table in sides.items()}
        return found._replace(queries=written["query"].drop("title"), passages=written.get("passage", found.passages))

    def record(self) -> dict[str, Any]:
        """What was run, and how many texts of each language were not translated."""
        failed = {"untranslated": dict(sorted(self.failed.items()))} if self.failed else {}
        return {"name": "translate-test", **self.settings.model_dump(), "by": self.llm.model, **failed}

    def _asked(self, wanted: dict[tuple[str, str, str], str]) -> dict[tuple[str, str, str], tuple[str, str]]:
        """Title and text of each, translated; without those that failed."""
        key = f"lexicons.{self.settings.lexicon}.path"
        tasks = []
        for (lang, title, text), name in wanted.items():
            texts = [title, text] if title else [text]
            steps = partial(translated, self.llm, self.prompts, key, PROMPT.stem, texts, lang, self.settings.into)
            tasks.append(WritingTask(name, steps))
        made = self.session.run({"translations": tasks}).get("translations", [])
        found = {}
        for (lang, title, text), texts in zip(wanted, made, strict=True):
            self.texts[lang] += 1
            if texts is None:
                self.failed[lang] += 1
            else:
                found[lang, title, text] = (texts[0] if title else "", texts[-1])
        failed, meter = self.failed.total(), self.session.meter
        if failed > self.llm.max_failed * self.texts.total():
            first = self.session.failures[0]
            raise UserError(
                f"{failed:,} of {self.texts.total():,} texts were not translated, more than llm.max_failed allows "
                f"({self.llm.max_failed:g}); the first is the {first.task}: {first.reason}; replies are kept: mend the "
                "cause and run again, or raise llm.max_failed"
            )
        log.info(
            f"{meter.sent:,} requests sent, {meter.cached:,} replies from {self.session.cache.path}; {failed:,} texts "
            "stay as they are"
        )
        return found


def _replaced(table: pl.DataFrame, done: dict[tuple[str, str, str], tuple[str, str]]) -> pl.DataFrame:
    rows = [done.get(row, row[1:]) for row in table.select("lang", "title", "text").iter_rows()]
    titles, texts = ([row[i] for row in rows] for i in range(2))
    return table.with_columns(title=pl.Series(titles, dtype=pl.String), text=pl.Series(texts, dtype=pl.String))
