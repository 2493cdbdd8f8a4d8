"""benchmarks: a benchmark in the one layout that `retrieve` and `score` know: passages, queries, qrels, rerank.

Where ids of queries and passages name the same texts (layouts of BEIR, splits of the collection), a query is never
found itself: the passage of its id is no result of it, in any language, as BEIR's evaluation has it, unless it is
judged relevant to it. These pairs are a table, which whatever ranks reads.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stages.benchmarks import candidates, readers, sample
from stages.schemas.benchmarks import (
    BENCHMARK_LABELS,
    BENCHMARK_METRICS,
    BENCHMARK_PASSAGES,
    BENCHMARK_QRELS,
    BENCHMARK_QUERIES,
    BENCHMARKS_FOLDER,
    IDENTICAL,
    POOLED,
    RERANK,
)
from stages.settings.benchmarks import Benchmark, read_benchmark
from stages.settings.languages import read_languages
from stages.settings.seed import read_seed
from stages.shared import codes, errors, identical, judgements, member, tables, untranslated
from stages.shared.codes import Wanted
from stages.shared.errors import UserError
from stages.shared.label_names import NO_LABEL

log = logging.getLogger("benchmarks")
UNTRANSLATED_TEXTS = "untranslated in {} ({})"


class Built(NamedTuple):
    """A benchmark's tables, and by reason how many of what was published are left out."""

    passages: pl.DataFrame
    queries: pl.DataFrame
    qrels: pl.DataFrame
    rerank: pl.DataFrame
    labels: pl.DataFrame
    ids_shared: bool
    left_out: Counter[str]


def main() -> None:
    name = member.name("benchmarks")
    benchmark, languages, seed = read_benchmark(name), read_languages(), read_seed()
    wanted = Wanted(
        benchmark.languages or languages, benchmark.codes, f"benchmarks.{name}.codes", f"benchmarks.{name}.languages"
    )
    built = build(name, benchmark, wanted, seed)
    passages, queries, qrels = built.passages, built.queries, built.qrels
    itself, themselves = among_passages(name, built)
    pooled = pl.DataFrame(schema=POOLED)
    if benchmark.pool == "one":
        if not built.labels.is_empty():
            raise UserError(f"benchmarks.{name} is by label, so it has no parallel passages: leave its pool out")
        pooled = sample.pool(passages, qrels, seed)
    with tables.replacing(BENCHMARKS_FOLDER / name) as draft:
        tables.write(passages.sort("passage", "lang"), draft / "passages.parquet", BENCHMARK_PASSAGES)
        tables.write(queries.sort("query", "lang"), draft / "queries.parquet", BENCHMARK_QUERIES)
        tables.write(qrels.sort("query", "passage", "lang"), draft / "qrels.parquet", BENCHMARK_QRELS)
        tables.write(built.rerank.sort("query", "passage"), draft / "rerank.parquet", RERANK)
        tables.write(built.labels.sort("kind", "id"), draft / "labels.parquet", BENCHMARK_LABELS)
        tables.write(itself, draft / "identical.parquet", IDENTICAL)
        tables.write(pooled, draft / "pool.parquet", POOLED)
        tables.write_json({"by_label": not built.labels.is_empty()}, draft / "about.json")
    report: dict[str, Any] = {
        "passages": counted(passages),
        "queries": counted(queries),
        "qrels": counted(qrels),
        "left_out": {reason: count for reason, count in sorted(built.left_out.items()) if count},
        "queries_among_passages": themselves,
    }
    if beyond := built.labels.filter(kind="query", label=NO_LABEL).height:
        report["out_of_scope"] = beyond
    if benchmark.pool == "one":
        answered = qrels.join(pooled, on=["passage", "lang"], how="semi")
        unanswered = queries.join(answered, on="query", how="anti")["query"].n_unique()
        report["pool"] = {"passages": counted(pooled), "queries_without_answer": unanswered}
        log.info(f"{name}: {pooled.height:,} documents in the pool, each in one language")
    if told := wanted.told():
        report["spelt"] = told
        log.info(codes.said(name, told))
    tables.write_json(report, BENCHMARK_METRICS / f"{name}.json")
    log.info(f"{name}: {queries.height:,} queries, {passages.height:,} passages, {qrels.height:,} qrels")


def counted(table: pl.DataFrame) -> dict[str, int]:
    return dict(table["lang"].value_counts().sort("lang").iter_rows())


def build(name: str, benchmark: Benchmark, wanted: Wanted, seed: int) -> Built:
    """The tables, checked, and as small as the benchmark's settings want them."""
    languages = wanted.languages
    parts = readers.read(benchmark, wanted)
    left_out = Counter(parts.left_out)
    if benchmark.languages:
        known = pl.col("lang").is_in(languages)
        parts = parts._replace(passages=parts.passages.filter(known), queries=parts.queries.filter(known))
    texts = parts.passages.filter((pl.col("text") != "") | (pl.col("title") != ""))
    passages = texts.select("passage", "lang").collect(engine="streaming")
    queries = parts.queries.filter(pl.col("text") != "")
    _check(name, benchmark, wanted, passages, queries)
    qrels = _judged(parts.qrels, passages, queries, left_out)
    lost = [f"{count:,} {reason}" for reason, count in left_out.items() if count and reason in judgements.REASONS]
    for said in lost:
        log.warning(f"{name}: left out: {said}")
    if not benchmark.keep_untranslated:
        # What is judged of them is there all the same: it is no lost judgement.
        queries = _translated(name, queries, "query", languages, left_out)
    beyond = parts.labels.filter(kind="query", label=NO_LABEL)["id"]
    answered = queries.join(qrels, on="query", how="semi")["query"]
    asked = sample.draw(
        pl.concat([answered, queries["query"].filter(queries["query"].is_in(beyond.implode()))]),
        benchmark.queries,
        seed,
    )
    # A query that nothing answers measures nothing, unless that is what is known of it.
    if answered.is_empty():
        why = f" (left out: {', '.join(lost)}; do qrels and texts name them alike?)" if lost else ""
        raise UserError(f"benchmarks.{name} has no judged query in {', '.join(languages)}{why}: check {benchmark.path}")
    queries, qrels = (table.filter(pl.col("query").is_in(asked.implode())) for table in (queries, qrels))
    rerank = pl.DataFrame(schema=RERANK)
    if benchmark.rerank:
        rerank = _listed(name, benchmark, wanted, passages, queries)
        passages = passages.join(pl.concat([rerank["passage"], qrels["passage"]]).to_frame(), on="passage", how="semi")
    if benchmark.passages:
        kept = sample.passages(passages["passage"], qrels, not parts.labels.is_empty(), benchmark.passages, seed)
        passages = passages.join(kept.to_frame("passage"), on="passage", how="semi")
        qrels, rerank = (table.join(passages, on="passage", how="semi") for table in (qrels, rerank))
    searched = texts.join(passages.lazy(), on=["passage", "lang"], how="semi").collect(engine="streaming")
    built = Built(searched, queries, qrels, rerank, parts.labels, parts.ids_shared, left_out)
    if not benchmark.keep_untranslated:
        built = _all_translated(name, built, languages)
    # The same id may be a passage's and a query's.
    labels = [
        parts.labels.filter(kind=kind).filter(pl.col("id").is_in(names.implode()))
        for kind, names in (("passage", built.passages["passage"]), ("query", built.queries["query"]))
    ]
    return built._replace(labels=pl.concat(labels))


def _translated(
    name: str, texts: pl.DataFrame, kind: str, languages: list[str], left_out: Counter[str]
) -> pl.DataFrame:
    """`texts` without those that are no translation; raises `UserError` if none is left."""
    found, left = untranslated.without(texts, kind, languages, f"{name}, {kind}", f"benchmarks.{name}")
    if found.is_empty() and left:
        raise UserError(
            f"benchmarks.{name}: every {kind} is untranslated (not in its language's script): check its languages, or "
            f"set benchmarks.{name}.keep_untranslated to true"
        )
    left_out.update({UNTRANSLATED_TEXTS.format(lang, kind): few for lang, few in left.items()})
    return found


def _all_translated(name: str, built: Built, languages: list[str]) -> Built:
    """`built` without passages that are no translation, and without what then is of no use. Of those that are left: a
    set of millions is never held at once. Raises `UserError` if nothing of a language is left."""
    searched = _translated(name, built.passages, "passage", languages, built.left_out)
    qrels = built.qrels.join(searched, on=["passage", "lang"], how="semi")
    beyond = pl.col("query").is_in(built.labels.filter(kind="query", label=NO_LABEL)["id"].implode())
    queries = built.queries.filter(pl.col("query").is_in(qrels["query"].implode()) | beyond)
    rerank = built.rerank.join(queries, on="query", how="semi").join(searched, on="passage", how="semi")
    if qrels.is_empty():
        raise UserError(
            f"benchmarks.{name}: no query has a relevant passage that is translated: check its languages, or set "
            f"benchmarks.{name}.keep_untranslated to true"
        )
    for lang in languages:
        gone = any(built.left_out[UNTRANSLATED_TEXTS.format(lang, kind)] for kind in ("query", "passage"))
        if gone and lang not in {*queries["lang"], *searched["lang"]}:
            raise UserError(
                f"benchmarks.{name}: nothing in {lang} is translated: leave it out of its languages, or set "
                f"benchmarks.{name}.keep_untranslated to true"
            )
    return built._replace(passages=searched, queries=queries, qrels=qrels, rerank=rerank)


def among_passages(name: str, built: Built) -> tuple[pl.DataFrame, dict[str, int]]:
    """Queries with the passages that they are themselves (IDENTICAL), and how many queries: `same_id`; of these with
    `other_text`, though both are in some language; with `same_id_relevant`, which are kept; and with `same_text` alone,
    under another id, which nobody's evaluation knows of. By label, a text says nothing of its label: no pair."""
    passages, queries = built.passages, built.queries
    judged = built.qrels.filter(pl.col("relevance") > 0).select(identical.QUERY_PASSAGE).unique()
    shared = identical.by_id(queries, passages) if built.ids_shared else pl.DataFrame(schema=IDENTICAL)
    itself = shared.join(judged, on=identical.QUERY_PASSAGE, how="anti", maintain_order="left")
    alike = pl.DataFrame(schema=IDENTICAL)
    if built.labels.is_empty():
        alike = identical.by_text(queries, passages)
    both = itself.join(queries, on="query").join(passages, on=["passage", "lang"], suffix="_right")
    other = both.select("query").unique().join(alike.join(itself, on=identical.QUERY_PASSAGE), on="query", how="anti")
    counts = {
        "same_id": itself.height,
        "other_text": other.height,
        "same_id_relevant": shared.height - itself.height,
        "same_text": alike.join(pl.concat([shared, judged]), on=identical.QUERY_PASSAGE, how="anti")[
            "query"
        ].n_unique(),
    }
    if counts["same_id"]:
        log.info(f"{name}: {counts['same_id']:,} queries are passages too, by their ids: these are no results of them")
    if counts["other_text"]:
        log.warning(
            f"{name}: of {counts['other_text']:,} queries the passage of the same id has another text, and is left out "
            "of their results as in BEIR's evaluation: if ids are equal by accident, give the queries others"
        )
    if counts["same_id_relevant"]:
        log.info(f"{name}: {counts['same_id_relevant']:,} queries have a relevant passage of the same id, which stays")
    if counts["same_text"]:
        log.warning(
            f"{name}: {counts['same_text']:,} queries are the text of a passage of another id that is not relevant to "
            "them, and which every model finds first: BEIR's evaluation has it so too"
        )
    return itself, counts


def _check(name: str, benchmark: Benchmark, wanted: Wanted, passages: pl.DataFrame, queries: pl.DataFrame) -> None:
    for kind, table in (("passage", passages), ("query", queries)):
        repeated = table.filter(pl.struct(kind, "lang").is_duplicated())
        if not repeated.is_empty():
            found, lang = repeated.select(kind, "lang").row(0)
            raise UserError(f"{benchmark.path} has the {kind} {found!r} in {lang} more than once: ids must differ")
    spoken = {*passages["lang"].unique(), *queries["lang"].unique()}
    missing = [lang for lang in wanted.languages if lang not in spoken]
    if missing:
        raise UserError(
            f"benchmarks.{name}: {benchmark.path} has nothing in {missing[0]}: {wanted.missing(missing[0])}"
        )


def _judged(
    judged: pl.DataFrame, passages: pl.DataFrame, queries: pl.DataFrame, left_out: Counter[str]
) -> pl.DataFrame:
    """The qrels of relevance (BENCHMARK_QRELS) of texts that are there, in each language."""
    keys = [key for key in ("passage", "lang") if key in judged.columns]
    there = judged.join(queries, on="query", how="semi", maintain_order="left")
    there = there.join(passages, on=keys, maintain_order="left").select(*BENCHMARK_QRELS)
    relevant = judged.filter(pl.col("relevance") > 0).unique(["query", *keys])
    judgements.count_absent(relevant.join(there, on=["query", *keys], how="anti"), queries, left_out)
    last = judgements.last(there, ["query", "passage", "lang"], left_out)
    return last.filter(pl.col("relevance") > 0)


def _listed(
    name: str, benchmark: Benchmark, wanted: Wanted, passages: pl.DataFrame, queries: pl.DataFrame
) -> pl.DataFrame:
    listed = candidates.read(Path(benchmark.path), str(benchmark.rerank), wanted, queries)
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
