"""mMARCO (arXiv 2108.13897): unicamp-dl/mmarco, revision 6d039c4638c0ba3e46a9cb7b498b145e7edc6230 or a copy:
`data/google/collections/<language>_collection.tsv`, `data/google/queries/dev/<language>_queries.dev.small.tsv`,
`data/qrels.dev.small.tsv`; candidates for re-ranking are `data/google/runs/run.bm25_<language>-msmarco.txt`.

Ids are MS MARCO's in all languages. A collection of 8.8 million passages is read lazily: with `rerank` or `passages`
only what is kept is ever in memory, else about 3 GB a language.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stages.benchmarks.parts import Parts, by_language, one
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QUERIES
from stages.schemas.texts import QRELS
from stages.shared import files, judgements, separated
from stages.shared.codes import Wanted
from stages.shared.errors import UserError

ENDS = r"(?:\.gz)?"


def read(folder: Path, wanted: Wanted, split: str | None) -> Parts:
    """Split dev.small, the 6,980 queries that published figures are of, unless another is asked for."""
    split = split or "dev.small"
    asked = by_language(
        folder, rf"(?P<lang>[^/_]+)_queries\.{split}\.tsv{ENDS}", wanted, f"<language>_queries.{split}.tsv"
    )
    searched = by_language(folder, rf"(?P<lang>[^/_]+)_collection\.tsv{ENDS}", wanted, "<language>_collection.tsv")
    return Parts(
        pl.concat([_texts(paths, lang, "passage") for lang, paths in searched.items()]).select(*BENCHMARK_PASSAGES),
        pl.concat([_texts(paths, lang, "query") for lang, paths in asked.items()]).select(*BENCHMARK_QUERIES).collect(),
        _judged(one(folder, rf"qrels\.{split}\.tsv{ENDS}", f"qrels.{split}.tsv")),
    )


def _texts(paths: list[Path], lang: str, name: str) -> pl.LazyFrame:
    if len(paths) > 1:
        names = ", ".join(map(str, paths))
        raise UserError(f"mMARCO has two translations of {lang} here ({names}): set the path to the folder of one")
    files.check_lines(paths[0])
    try:
        # A line as a whole: a tab within a text ends no text.
        scan = pl.scan_csv(
            paths[0],
            separator="\x1f",
            quote_char=None,
            has_header=False,
            schema={"line": pl.String},
            truncate_ragged_lines=True,
        )
        scan.head(1).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{paths[0]} cannot be read ({str(error).splitlines()[0]}): is it whole?") from None
    fields = pl.col("line").str.splitn("\t", 2).struct.rename_fields([name, "text"])
    scan = scan.select(fields.alias("fields")).unnest("fields")
    text = pl.col("text").str.replace_all(r"\s+", " ").str.strip_chars()
    return scan.with_columns(text, lang=pl.lit(lang), title=pl.lit(""))


def _judged(path: Path) -> pl.DataFrame:
    found = []
    for place, fields in separated.fields(path):
        if len(fields) != 4:
            raise UserError(f"{place} is no judgement: write query, 0, passage and relevance, tab-separated")
        found.append((fields[0], fields[2], judgements.relevance(fields[3], place)))
    return pl.DataFrame(found, schema=QRELS, orient="row")
