"""candidates: the teacher (the base) ranks the whole pool, in each language, for each training query.

Expensive, and free of every choice about negatives: the query's own passages stay in the list, so that a position is
the raw rank of retrieval.
"""

import logging
from pathlib import Path

import numpy as np
import polars as pl

from stages.shared import collection, encoder, errors, models, params, search, tables

log = logging.getLogger("candidates")
OUT = Path("data/candidates")


def main() -> None:
    settings, languages, trusted = params.read("candidates", "languages", "base.trust_remote_code")
    passages, queries, judgements, _ = collection.read()
    queries = queries.filter(split="train")
    if queries.is_empty():
        raise errors.UserError("there is no training query: check corpus.queries, synthesize and corpus.split.train")
    teacher = encoder.load(models.BASE, settings.batch_size, trusted)
    pool = passages.select("passage").unique().sort("passage")
    numbered = pool.with_row_index("number")
    passages = passages.join(numbered, on="passage").sort("number").with_columns(text=tables.passage_text())
    judged = judgements.join(numbered, on="passage")
    asked = {
        lang: encoder.encode_distinct(teacher, queries.filter(lang=lang)["text"].to_list(), "query")
        for lang in languages
    }
    parts = []
    for corpus_lang in languages:
        searched = passages.filter(lang=corpus_lang)
        vectors = encoder.encode_distinct(teacher, searched["text"].to_list(), "passage")
        for query_lang in languages:
            own = queries.filter(lang=query_lang)
            if own.is_empty():
                continue
            scores, rows = search.top_k(asked[query_lang], vectors, settings.depth)
            # Every passage is in every language, so row i of `searched` is number i of the pool.
            part = pl.DataFrame(
                {"query": own["query"], "candidates": rows.astype(np.uint32), "scores": scores},
                schema_overrides={
                    "candidates": pl.Array(pl.UInt32, rows.shape[1]),
                    "scores": pl.Array(pl.Float32, rows.shape[1]),
                },
            )
            positives = positive_scores(asked[query_lang], vectors, own, judged)
            part = part.with_columns(
                positives,
                query_lang=pl.lit(query_lang),
                corpus_lang=pl.lit(corpus_lang),
                candidates=pl.col("candidates").cast(pl.List(pl.UInt32)),
                scores=pl.col("scores").cast(pl.List(pl.Float32)),
            )
            parts.append(part.select(*tables.CANDIDATES))
            log.info(f"{query_lang}-{corpus_lang}: {own.height:,} queries, {searched.height:,} passages")
    with tables.replacing(OUT) as draft:
        tables.write(pool, draft / "pool.parquet", tables.POOL)
        tables.write(pl.concat(parts), draft / "ranked.parquet", tables.CANDIDATES)


def positive_scores(asked: np.ndarray, vectors: np.ndarray, own: pl.DataFrame, judged: pl.DataFrame) -> pl.Series:
    """Each query's score with its relevant passage in the searched language; of several, the lowest, which is the
    careful choice for margins."""
    pairs = own.select("query").with_row_index("row").join(judged.select("query", "number"), on="query")
    dots = np.einsum("ij,ij->i", asked[pairs["row"].to_numpy()], vectors[pairs["number"].to_numpy()])
    lowest = pairs.with_columns(score=pl.Series(dots, dtype=pl.Float32)).group_by("row").agg(pl.col("score").min())
    return lowest.sort("row")["score"].alias("positive_score")


if __name__ == "__main__":
    errors.run(main)
