"""Whether a recipe trains on more of a benchmark than the benchmark allows."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stages.contamination.examples import EXAMPLES, EXAMPLES_FILE
from stages.schemas.contamination import CONTAMINATION_METRICS, ContaminationShares
from stages.settings.benchmarks import Benchmark
from stages.shared import tables
from stages.shared.errors import UserError
from stages.shared.tasks import POOL

PLURALS = {"query": "queries", "passage": "passages"}
EXAMPLES_SHOWN = 3  # examples in a refusal
LENGTH = 80  # characters of a text that it shows


def check(shares: ContaminationShares, benchmarks: dict[str, Benchmark], keys: Mapping[str, str]) -> None:
    """Raise `UserError` if a recipe or re-ranker trains on more of a benchmark, in any language, than its
    `max_contamination`; `keys`: of each its key of params."""
    for name, benchmark in benchmarks.items():
        limit = 1.0 if benchmark.max_contamination is None else benchmark.max_contamination
        over = [
            (found[plural], recipe, lang, kind)
            for recipe in keys
            for lang, found in shares[name][recipe].items()
            for kind, plural in PLURALS.items()
            if found.get(plural, 0.0) > limit
        ]
        if over:
            share, recipe, lang, kind = max(over, key=lambda case: case[0])
            where = "in some language" if lang == POOL else f"in {lang}"
            others = len({case[1] for case in over} - {recipe})
            raise UserError(
                f"{keys[recipe]} trains on {100 * share:.3g} % of the {PLURALS[kind]} of the benchmark {name} "
                f"{where}, and benchmarks.{name}.max_contamination allows {100 * limit:.3g} %"
                f"{f' ({others} more go beyond it)' if others else ''}: {_examples(name, recipe, kind, lang)}; take "
                f"such texts out of what is trained on ({EXAMPLES_FILE} and {CONTAMINATION_METRICS} have more), raise "
                "the limit, or write null for none"
            )


def _examples(benchmark: str, recipe: str, kind: str, lang: str) -> str:
    found = tables.read(EXAMPLES_FILE, EXAMPLES).filter(
        pl.col("slot") != "negative", benchmark=benchmark, recipe=recipe, kind=kind
    )
    own = found.filter(pl.lit(lang == POOL) | (pl.col("lang") == lang)).head(EXAMPLES_SHOWN)
    texts = [
        f"{row['name']} {_short(row['text'])!r} as a {row['slot']}"
        + ("" if row["match"] == "exact" else f" {_short(row['trained'])!r}")
        for row in own.iter_rows(named=True)
    ]
    return ", ".join(texts) or "contamination.examples 0 keeps no examples"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 1]}…"
