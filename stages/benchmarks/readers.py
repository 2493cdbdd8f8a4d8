"""Which module reads which source."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from stages.benchmarks import belebele, feverous, held_out, intents, lareqa, miracl, mkqa, mmarco, strategyqa
from stages.benchmarks.parts import Parts
from stages.schemas.collected import COLLECTED_FOLDER
from stages.settings.benchmarks import Benchmark
from stages.shared import beir
from stages.shared.codes import Wanted
from stages.shared.errors import UserError


def read(benchmark: Benchmark, wanted: Wanted) -> Parts:
    """The benchmark's parts in the languages that are wanted; raises `UserError` if it lacks one."""
    folder, split = Path(benchmark.path), benchmark.split
    if benchmark.source == "held-out":
        if folder != COLLECTED_FOLDER:  # DVC watches the path
            raise UserError(f"held-out reads {COLLECTED_FOLDER}, not {folder}: write path: {COLLECTED_FOLDER}")
        return held_out.read(str(split), wanted.languages)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: check the path in params.yaml")
    match benchmark.source:
        case "belebele":
            return belebele.read(folder, wanted)
        case "strategyqa":
            return strategyqa.read(folder, wanted, split)
        case "xquad-r" | "mlqa-r":
            return lareqa.read(folder, wanted, benchmark.source)
        case "miracl":
            return miracl.read(folder, wanted, split)
        case "mmarco":
            return mmarco.read(folder, wanted, split)
        case "mkqa":
            return mkqa.read(folder, wanted)
        case "feverous":
            return feverous.read(folder, wanted, split)
        case "beir":
            left_out: Counter[str] = Counter()
            passages, queries, qrels = beir.read(folder, wanted, split, left_out)
            return Parts(passages.lazy(), queries, qrels, ids_shared=True, left_out=left_out)
        case source:
            return intents.read(folder, wanted, source, split, benchmark.columns)
