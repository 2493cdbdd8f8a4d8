"""Benchmarks translated word by word, phrases that the lexicon has first; words that it lacks stay."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from stages.schemas.lexicons import LEXICONS_FOLDER
from stages.settings.translated import Translated
from stages.shared import errors
from stages.shared.passages import passage_text
from stages.shared.ranking import Tables
from stages.shared.rounding import rounded
from stages.shared.switching import Switcher, best


class ByWord:
    """Translates benchmarks, and counts the words that the lexicon lacks."""

    def __init__(self, settings: Translated) -> None:
        self.settings = settings
        self.switchers: dict[str, Switcher] = {}
        self.words = Counter[Any]()
        self.unknown = Counter[Any]()

    def benchmark(self, found: Tables) -> Tables:
        """`found` in the language `into`; raises `UserError` if the lexicon does not lead there from one of its own."""
        queries = self._texts(found.queries)
        if self.settings.side == "query":
            return found._replace(queries=queries)
        whole = found.passages.with_columns(passage_text(), title=pl.lit(""))
        return found._replace(queries=queries, passages=self._texts(whole))

    def record(self) -> dict[str, Any]:
        """What was run, and the share of each language's words that stay, since the lexicon lacks them."""
        lacking = {lang: rounded(self.unknown[lang] / max(count, 1)) for lang, count in sorted(self.words.items())}
        return {"name": "translate-test", **self.settings.model_dump(), "out_of_lexicon": lacking}

    def _texts(self, table: pl.DataFrame) -> pl.DataFrame:
        """`table` with its column text translated; the rows stay in their order."""
        texts = table["text"].to_list()
        for (lang,), own in table.select("lang").with_row_index("row").group_by("lang", maintain_order=True):
            if lang == self.settings.into:
                continue
            rows = own["row"].to_list()
            # All words have one target and are switched: nothing is drawn.
            done = self._switcher(str(lang))([texts[row] for row in rows], np.zeros(len(rows), np.uint64))
            for row, switched in zip(rows, done, strict=True):
                texts[row] = switched.text
                self.words[lang] += switched.words
                self.unknown[lang] += switched.unknown
        return table.with_columns(text=pl.Series(texts, dtype=pl.String))

    def _switcher(self, lang: str) -> Switcher:
        if lang not in self.switchers:
            file = LEXICONS_FOLDER / self.settings.lexicon / f"{lang}-{self.settings.into}.parquet"
            if not file.exists():
                raise errors.UserError(
                    f"{file} is missing, and a benchmark has texts in {lang}: add the pair to lexicons."
                    f"{self.settings.lexicon}, or name the benchmark's other languages in its languages"
                )
            self.switchers[lang] = Switcher(lang, {self.settings.into: best(file)}, phrases=True)
        return self.switchers[lang]
