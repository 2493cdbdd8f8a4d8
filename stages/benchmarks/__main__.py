"""benchmarks: a benchmark in the one layout that `retrieve` and `score` know: passages, queries, qrels, rerank."""

import logging
import sys
from collections import Counter
from pathlib import Path

import polars as pl

from stages.benchmarks import candidates, readers, sample
from stages.schemas.benchmarks import (
    BENCHMARK_LABELS,
    BENCHMARK_PASSAGES,
    BENCHMARK_QRELS,
    BENCHMARK_QUERIES,
    BENCHMARKS_FOLDER,
    RERANK,
)
from stages.settings.benchmarks import Benchmark, read_benchmark
from stages.settings.languages import read_languages
from stages.settings.seed import read_seed
from stages.shared import errors, tables, untranslated
from stages.shared.errors import UserError

log = logging.getLogger("benchmarks")


def main() -> None:
    name = sys.argv[1]
    benchmark, languages, seed = read_benchmark(name), read_languages(), read_seed()
    languages = benchmark.languages or languages
    passages, queries, qrels, rerank, labels = build(name, benchmark, languages, seed)
    with tables.replacing(BENCHMARKS_FOLDER / name) as draft:
        tables.write(passages.sort("passage", "lang"), draft / "passages.parquet", BENCHMARK_PASSAGES)
        tables.write(queries.sort("query", "lang"), draft / "queries.parquet", BENCHMARK_QUERIES)
        tables.write(qrels.sort("query", "passage", "lang"), draft / "qrels.parquet", BENCHMARK_QRELS)
        tables.write(rerank.sort("query", "passage"), draft / "rerank.parquet", RERANK)
        tables.write(labels.sort("kind", "id"), draft / "labels.parquet", BENCHMARK_LABELS)
        tables.write_json({"by_label": not labels.is_empty()}, draft / "about.json")
    log.info(f"{name}: {queries.height:,} queries, {passages.height:,} passages, {qrels.height:,} qrels")


def build(
    name: str, benchmark: Benchmark, languages: list[str], seed: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The five tables, checked, and as small as the benchmark's settings want them."""
    parts = readers.read(benchmark, languages)
    if benchmark.languages:
        known = pl.col("lang").is_in(languages)
        parts = parts._replace(passages=parts.passages.filter(known), queries=parts.queries.filter(known))
    texts = parts.passages.filter((pl.col("text") != "") | (pl.col("title") != ""))
    passages = texts.select("passage", "lang").collect(engine="streaming")
    queries = parts.queries.filter(pl.col("text") != "")
    _check(name, benchmark, languages, passages, queries)
    left_out: Counter[str] = Counter()
    if not benchmark.keep_untranslated:
        queries = _translated(name, queries, "query", languages, left_out)
    qrels = _judged(name, parts.qrels, passages, queries)
    asked = sample.draw(queries.join(qrels, on="query", how="semi")["query"], benchmark.queries, seed)
    # A query that nothing answers measures nothing.
    if asked.is_empty():
        raise UserError(f"benchmarks.{name} has no judged query in {', '.join(languages)}: check {benchmark.path}")
    queries, qrels = (table.filter(pl.col("query").is_in(asked.implode())) for table in (queries, qrels))
    rerank = pl.DataFrame(schema=RERANK)
    if benchmark.rerank:
        rerank = _listed(name, benchmark, languages, passages, queries)
        passages = passages.join(pl.concat([rerank["passage"], qrels["passage"]]).to_frame(), on="passage", how="semi")
    if benchmark.passages:
        kept = sample.passages(passages["passage"], qrels, not parts.labels.is_empty(), benchmark.passages, seed)
        passages = passages.join(kept.to_frame("passage"), on="passage", how="semi")
        qrels, rerank = (table.join(passages, on="passage", how="semi") for table in (qrels, rerank))
    searched = texts.join(passages.lazy(), on=["passage", "lang"], how="semi").collect(engine="streaming")
    if not benchmark.keep_untranslated:
        # Of those that are left: a set of millions is never held at once.
        searched = _translated(name, searched, "passage", languages, left_out)
        qrels = qrels.join(searched, on=["passage", "lang"], how="semi")
        queries = queries.join(qrels, on="query", how="semi")
        rerank = rerank.join(queries, on="query", how="semi").join(searched, on="passage", how="semi")
        if queries.is_empty():
            raise UserError(
                f"benchmarks.{name}: no query has a relevant passage that is translated: check its languages, or set "
                f"benchmarks.{name}.keep_untranslated to true"
            )
    # The same id may be a passage's and a query's.
    labels = [
        parts.labels.filter(kind=kind).filter(pl.col("id").is_in(names.implode()))
        for kind, names in (("passage", searched["passage"]), ("query", queries["query"]))
    ]
    return searched, queries, qrels, rerank, pl.concat(labels)


def _translated(
    name: str, texts: pl.DataFrame, kind: str, languages: list[str], left_out: Counter[str]
) -> pl.DataFrame:
    """`texts` without those that are no translation; raises `UserError` if none is left."""
    failed = untranslated.rows(texts, kind, languages)
    counts = {
        str(lang): (int(own["failed"].sum()), own.height)
        for (lang,), own in texts.select("lang", failed=failed).group_by("lang", maintain_order=True)
    }
    untranslated.warn(f"{name}, {kind}", counts, f"benchmarks.{name}")
    if failed.all() and len(failed):
        raise UserError(
            f"benchmarks.{name}: every {kind} is untranslated (not in its language's script): check its languages, or "
            f"set benchmarks.{name}.keep_untranslated to true"
        )
    left_out.update({f"untranslated in {lang} ({kind})": few for lang, (few, _) in counts.items() if few})
    return texts.filter(~failed)


def _check(
    name: str, benchmark: Benchmark, languages: list[str], passages: pl.DataFrame, queries: pl.DataFrame
) -> None:
    for kind, table in (("passage", passages), ("query", queries)):
        repeated = table.filter(pl.struct(kind, "lang").is_duplicated())
        if not repeated.is_empty():
            found, lang = repeated.select(kind, "lang").row(0)
            raise UserError(f"{benchmark.path} has the {kind} {found!r} in {lang} more than once: ids must differ")
    spoken = {*passages["lang"].unique(), *queries["lang"].unique()}
    missing = [lang for lang in languages if lang not in spoken]
    if missing and benchmark.languages:
        raise UserError(
            f"benchmarks.{name}.languages names {missing[0]}, which {benchmark.path} lacks: remove it there"
        )
    if missing:
        log.info(f"{name}: {benchmark.path} has nothing in {', '.join(missing)}")


def _judged(name: str, judged: pl.DataFrame, passages: pl.DataFrame, queries: pl.DataFrame) -> pl.DataFrame:
    """The qrels of relevance (BENCHMARK_QRELS) of texts that are there, in each language."""
    relevant = judged.filter(pl.col("relevance") > 0).join(queries, on="query", how="semi")
    keys = ["passage", "lang"] if "lang" in judged.columns else ["passage"]
    lost = relevant.join(passages, on=keys, how="anti").height
    if lost:
        log.warning(f"{name}: {lost:,} of {relevant.height:,} qrels are of passages that it lacks, and left out")
    found = relevant.join(passages, on=keys).select(*BENCHMARK_QRELS)
    return found.unique(["query", "passage", "lang"], keep="last", maintain_order=True)


def _listed(
    name: str, benchmark: Benchmark, languages: list[str], passages: pl.DataFrame, queries: pl.DataFrame
) -> pl.DataFrame:
    listed = candidates.read(Path(benchmark.path), str(benchmark.rerank), languages, queries)
    rerank = listed.join(queries, on="query", how="semi")
    known = rerank.join(passages, on="passage", how="semi")
    if known.is_empty():
        raise UserError(f"benchmarks.{name}.rerank lists no passage of a judged query: is it of this benchmark?")
    silent = queries.join(known, on="query", how="anti")["query"].n_unique()
    if silent or known.height < rerank.height:
        log.warning(
            f"{name}: the candidates of {silent:,} queries are missing, which find nothing; "
            f"{rerank.height - known.height:,} candidates are passages that it lacks"
        )
    return known


if __name__ == "__main__":
    errors.run(main)
