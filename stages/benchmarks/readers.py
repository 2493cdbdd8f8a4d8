"""Which module reads which source."""

from __future__ import annotations

from pathlib import Path

from stages.benchmarks import belebele, feverous, held_out, intents, lareqa, miracl, mkqa, mmarco, squad, strategyqa
from stages.benchmarks.parts import Parts
from stages.schemas.collected import COLLECTED_FOLDER
from stages.settings.benchmarks import Benchmark
from stages.shared import beir
from stages.shared.errors import UserError


def read(benchmark: Benchmark, languages: list[str]) -> Parts:
    """The benchmark's parts in those `languages` that it has; raises `UserError` if it has none of them."""
    folder, split = Path(benchmark.path), benchmark.split
    if benchmark.source == "held-out":
        if folder != COLLECTED_FOLDER:  # DVC watches the path
            raise UserError(f"held-out reads {COLLECTED_FOLDER}, not {folder}: write path: {COLLECTED_FOLDER}")
        return held_out.read(str(split), languages)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: check the path in params.yaml")
    match benchmark.source:
        case "belebele":
            return belebele.read(folder, languages)
        case "squad":
            return squad.read(folder, languages, split)
        case "strategyqa":
            return strategyqa.read(folder, languages, split)
        case "xquad-r" | "mlqa-r":
            return lareqa.read(folder, languages, benchmark.source)
        case "miracl":
            return miracl.read(folder, languages, split)
        case "mmarco":
            return mmarco.read(folder, languages, split)
        case "mkqa":
            return mkqa.read(folder, languages)
        case "feverous":
            return feverous.read(folder, languages, split)
        case "beir":
            passages, queries, qrels = beir.read(folder, languages, split)
            return Parts(passages.lazy(), queries, qrels)
        case source:
            return intents.read(folder, languages, source, split, benchmark.columns)
