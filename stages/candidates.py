"""candidates: the teacher (the base or another encoder) ranks the whole pool, in each language, for each query.

Expensive, and free of every choice about negatives: the query's own passages stay in the list, so that a position is
the raw rank of retrieval.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES, CANDIDATES_FOLDER
from stages.schemas.collected import COLLECTED_FOLDER
from stages.schemas.similarity import SIMILARITY
from stages.settings.candidates import read_candidates
from stages.settings.encoders import PretrainedEncoder
from stages.settings.freeze import read_freeze
from stages.settings.languages import read_languages
from stages.settings.teacher import read_teacher
from stages.settings.windows import read_windows
from stages.shared import collection, encoder, errors, files, models, pieces, search, tables
from stages.shared.approximate import Approximate
from stages.shared.passages import by_language, passage_text
from stages.shared.vectors import published
from stages.shared.vectors.blocks import KeptBlocks
from stages.shared.vectors.held import Holder
from stages.shared.windows import WindowedEncoder

log = logging.getLogger("candidates")
# Of an approximate index, what it finds of what an exact search does.
REPORT = Path("metrics/candidates.json")


def main() -> None:
    settings, languages = read_candidates(), read_languages()
    stored = collection.read(languages)
    passages = stored.passages
    queries = stored.queries.filter(split="train")
    if queries.is_empty():
        raise errors.UserError("there is no training query: check corpus.queries, synthesize and corpus.split.train")
    named = read_teacher()
    teacher, record = load_teacher(named, settings.batch_size)
    if isinstance(teacher, KeptBlocks) and named.name != models.BASE_NAME:
        read = pl.concat([passages.select("lang", passage_text()), queries.select("lang", "text")])
        record["unknown"] = pieces.known(teacher.tokenizer, by_language(read), f"teacher.name {named.name!r}")
    pool = stored.groups()
    numbered = pool.select("passage").with_row_index("number")
    passages = passages.join(numbered, on="passage").sort("number")
    holder = Holder(settings.memory, settings.precision)
    reading = WindowedEncoder(teacher, read_windows(), f"teacher.name {named.name!r}", holder)
    recall: dict[str, float] = {}
    asked = {
        lang: encoder.encode_distinct(teacher, queries.filter(lang=lang)["text"].to_list(), "query")
        for lang in languages
    }
    parts = []
    for corpus_lang in languages:
        searched = passages.filter(lang=corpus_lang)
        if searched.is_empty():  # of a knowledge base, which is in one language
            continue
        vectors = reading.documents(searched)
        approximate = Approximate(vectors, settings.index) if settings.index else None
        for query_lang in languages:
            own = queries.filter(lang=query_lang)
            if own.is_empty():
                continue
            asks = asked[query_lang]
            if not approximate:
                scores, rows = search.top_k(asks, vectors, settings.depth)
            else:
                scores, rows, recall[f"{query_lang}-{corpus_lang}"] = approximate.top_k(asks, settings.depth)
            # Every passage is in every language, so row i of `searched` is number i of the pool.
            found = ranked(own["query"], scores, rows)
            positives = positive_scores(asks, vectors, own["query"], stored.qrels, pool["group"])
            langs = {"query_lang": pl.lit(query_lang), "corpus_lang": pl.lit(corpus_lang)}
            parts.append(found.with_columns(positives, **langs).select(*CANDIDATES))
            log.info(f"{query_lang}-{corpus_lang}: {own.height:,} queries, {searched.height:,} passages")
    with tables.replacing(CANDIDATES_FOLDER) as draft:
        tables.write(pool.select("passage"), draft / "pool.parquet", CANDIDATE_POOL)
        tables.write(pl.concat(parts), draft / "ranked.parquet", CANDIDATES)
        # Labelled passages are in one language: these are the vectors of all of them.
        similarity = label_similarity(teacher, vectors, stored.labels, pool["group"])
        tables.write(similarity, draft / "similarity.parquet", SIMILARITY)
        tables.write_json(record | reading.record(), draft / "teacher.json")
    tables.write_json({"index": settings.index.factory, "recall": recall} if settings.index else {}, REPORT)


def ranked(queries: pl.Series, scores: np.ndarray, rows: np.ndarray) -> pl.DataFrame:
    """Columns query, candidates and scores (CANDIDATES), of `scores` and `rows` [queries, depth]."""
    lists = {"candidates": pl.Series(rows.astype(np.uint32)), "scores": pl.Series(scores)}
    return pl.DataFrame({"query": queries} | {name: array.cast(CANDIDATES[name]) for name, array in lists.items()})


def load_teacher(teacher: PretrainedEncoder, batch_size: int) -> tuple[encoder.Encoder, dict[str, Any]]:
    """The encoder that ranks, its vectors kept, and a record of it."""
    if teacher.name == "base":
        unused = [key for key, value in teacher if value and key not in ("name", "dtype")]
        if unused:
            raise errors.UserError(f"teacher.{unused[0]} does not apply to teacher.name base: write null")
        freeze = read_freeze()
        loaded = encoder.load(models.BASE, batch_size, freeze=freeze)
        if not isinstance(loaded, encoder.TransformerEncoder):  # a table, faster than reading what was kept
            return loaded, {"name": "base"}
        identity, record = files.content(models.BASE), {"name": "base"}
        if loaded.trunk and freeze:  # through which the last bits of vectors are others
            identity += f" {freeze.layers}"
        return published.kept(loaded, identity, record), record
    return published.load(teacher, "teacher", batch_size)


def positive_scores(
    asked: np.ndarray, vectors: search.PassageVectors, queries: pl.Series, qrels: pl.DataFrame, groups: pl.Series
) -> pl.Series:
    """Each query's score with the passage in the searched language that answers it; of several, the lowest, which is
    the careful choice for margins.

    `asked` [queries, dimension]; `vectors` [pool, dimension], of passages whose `groups` are given; `qrels` (query,
    group).
    """
    lowest = np.full(len(queries), np.inf, np.float32)
    members = groups.to_frame("group").with_row_index("number")
    several = pl.len().over("group") > 1
    wanted = queries.to_frame("query").with_row_index("row").join(qrels, on="query").sort("row")
    pairs = wanted.join(members.filter(~several), on="group")
    dots = search.pairs(asked, vectors, pairs["row"].to_numpy(), pairs["number"].to_numpy())
    np.minimum.at(lowest, pairs["row"].to_numpy(), dots)
    # A matrix product for a group of several passages: their pairs with all queries would not fit into memory.
    shared = {group: own["number"].to_numpy() for (group,), own in members.filter(several).group_by("group")}
    for (group,), own in wanted.filter(pl.col("group").is_in(list(shared))).group_by("group"):
        rows = own["row"].to_numpy()
        dots = search.scored(asked[rows], vectors[shared[group]])
        lowest[rows] = np.minimum(lowest[rows], dots.min(axis=1))
    return pl.Series("positive_score", lowest)


def label_similarity(
    teacher: encoder.Encoder, vectors: search.PassageVectors, labels: pl.DataFrame, groups: pl.Series
) -> pl.DataFrame:
    """How similar labels are (SIMILARITY): the cosine of their descriptions, if all have one, and that of their
    centroids, the means of their passages' `vectors` (of several windows the vector of their mean); and what the user
    says of it. `labels` is GROUP_LABELS."""
    if labels.is_empty():
        return pl.DataFrame(schema=SIMILARITY)
    if isinstance(vectors, search.Documents):
        vectors = encoder.normalized(np.add.reduceat(vectors.vectors, vectors.firsts))
    found = {}
    names = labels["group"].to_list()
    numbers = {name: at for at, name in enumerate(names)}
    rows = groups.replace_strict(numbers, default=None, return_dtype=pl.Int64)
    centroids = np.zeros((len(names), vectors.shape[1]), np.float32)
    np.add.at(centroids, rows.drop_nulls().to_numpy(), vectors[rows.is_not_null().to_numpy()])
    found["centroids"] = encoder.normalized(centroids)
    if (labels["description"] != "").all():
        found["descriptions"] = encoder.encode_distinct(teacher, labels["description"].to_list(), "passage")
    own = [
        (kind, name, row)
        for kind, sides in sorted(found.items())
        for name, row in zip(names, (sides @ sides.T).tolist(), strict=True)
    ]
    given = tables.read(COLLECTED_FOLDER / "similarity.parquet", SIMILARITY)
    return pl.concat([pl.DataFrame(own, SIMILARITY, orient="row"), given]).sort("kind", "label")


if __name__ == "__main__":
    errors.run(main)
