"""translated: a model ranks benchmarks that were translated into one language ("translate-test"; arXiv 2305.05295,
section 4), word by word with a lexicon, or by a language model.

Queries, and passages unless the row is of queries alone, are in the language `into` afterwards. Tasks keep their names:
ko-en are the Korean queries as English ones. So a model that knows one language is measured in all, and what training
on code-switched texts gains stands beside what the same lexicon gives without training. Of a passage's windows
(`shared/windows.py`) the first alone has its title where words are translated, as the translated text begins with it.
"""

import contextlib
import logging
from pathlib import Path

from stages.schemas.lexicons import LEXICON_RECORD, LEXICONS_FOLDER, LLM
from stages.schemas.runs import RUN, RUN_RECORD, RUNS_FOLDER
from stages.settings.freeze import read_freeze
from stages.settings.llm import read_llm
from stages.settings.retrieve import read_retrieve
from stages.settings.synthesize import read_varieties
from stages.settings.translated import read_translated
from stages.settings.windows import read_windows
from stages.shared import errors, member, ranking, tables
from stages.shared.vectors import folders
from stages.shared.windows import WindowedEncoder
from stages.translated.by_llm import ByLlm
from stages.translated.by_word import ByWord

log = logging.getLogger("translated")


def main() -> None:
    name = member.name("translated")
    settings, limits = read_translated(name), read_retrieve()
    read = folders.load(Path(settings.model), limits.batch_size, read_freeze())
    model = WindowedEncoder(read, read_windows(), settings.model)
    source = tables.read_json(LEXICONS_FOLDER / settings.lexicon / LEXICON_RECORD)["source"]
    with contextlib.ExitStack() as stack, tables.replacing(RUNS_FOLDER / name) as draft:
        translator = (
            stack.enter_context(ByLlm(settings, read_llm(), read_varieties())) if source == LLM else ByWord(settings)
        )
        for benchmark, found in ranking.benchmarks().items():
            asked = translator.benchmark(found)
            run, relevant = ranking.rank(asked, ranking.by_encoder(model, asked), limits.depth)
            tables.write(run, draft / f"{benchmark}.run.parquet", RUN)
            tables.write(relevant, draft / f"{benchmark}.relevant.parquet", RUN)
            log.info(f"{name} on {benchmark}: {run['task'].n_unique()} tasks, {run.height:,} ranks")
        tables.write_json(translator.record() | model.record(), draft / RUN_RECORD)


if __name__ == "__main__":
    errors.run(main)
