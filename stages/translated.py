"""translated: a model ranks benchmarks that a lexicon has translated word by word into one language ("translate-test";
arXiv 2305.05295, section 4).

Queries, and passages unless the row is of queries alone, are in the language `into` afterwards, phrases that the
lexicon has first; words that it lacks stay. Tasks keep their names: ko-en are the Korean queries as English ones. So a
model that knows one language is measured in all, and what training on code-switched texts gains stands beside what the
same lexicon gives without training. Of a passage's windows (`shared/windows.py`) the first alone has its title, as the
translated text begins with it.
"""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.schemas.lexicons import LEXICONS_FOLDER
from stages.schemas.runs import RUN, RUN_RECORD, RUNS_FOLDER
from stages.settings.freeze import read_freeze
from stages.settings.retrieve import read_retrieve
from stages.settings.translated import Translated, read_translated
from stages.settings.windows import read_windows
from stages.shared import errors, member, ranking, tables
from stages.shared.passages import passage_text
from stages.shared.ranking import Tables
from stages.shared.rounding import rounded
from stages.shared.switching import Switcher, best
from stages.shared.vectors import folders
from stages.shared.windows import WindowedEncoder

log = logging.getLogger("translated")


def main() -> None:
    name = member.name("translated")
    settings, limits = read_translated(name), read_retrieve()
    read = folders.load(Path(settings.model), limits.batch_size, read_freeze())
    model = WindowedEncoder(read, read_windows(), settings.model)
    translator = Translator(settings)
    with tables.replacing(RUNS_FOLDER / name) as draft:
        for benchmark, found in ranking.benchmarks().items():
            asked = translator.benchmark(found)
            run, relevant = ranking.rank(asked, ranking.by_encoder(model, asked), limits.depth)
            tables.write(run, draft / f"{benchmark}.run.parquet", RUN)
            tables.write(relevant, draft / f"{benchmark}.relevant.parquet", RUN)
            log.info(f"{name} on {benchmark}: {run['task'].n_unique()} tasks, {run.height:,} ranks")
        tables.write_json(translator.record() | model.record(), draft / RUN_RECORD)


class Translator:
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


if __name__ == "__main__":
    errors.run(main)
