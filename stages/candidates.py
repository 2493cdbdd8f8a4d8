"""candidates: the teacher (the base or another encoder) ranks the whole pool, in each language, for each query.

Expensive, and free of every choice about negatives: the query's own passages stay in the list, so that a position is
the raw rank of retrieval.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.shared import collection, encoder, errors, files, models, params, search, tables
from stages.shared.vectors.blocks import KeptBlocks

log = logging.getLogger("candidates")
OUT = Path("data/candidates")


def main() -> None:
    settings, languages = params.read("candidates", "languages")
    teacher_settings, trusted, attention = params.read("teacher", "base.trust_remote_code", "base.attention")
    stored = collection.read(languages)
    passages, judgements = stored.passages, stored.judgements
    queries = stored.queries.filter(split="train")
    queries = queries.with_columns(label=stored.labels_of("query", queries["query"]))
    if queries.is_empty():
        raise errors.UserError("there is no training query: check corpus.queries, synthesize and corpus.split.train")
    teacher, record = load_teacher(teacher_settings, settings.batch_size, trusted, attention)
    pool = passages.select("passage").unique().sort("passage")
    pool_labels = stored.labels_of("passage", pool["passage"])
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
        if searched.is_empty():  # of a knowledge base, which is in one language
            continue
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
            positives = positive_scores(asked[query_lang], vectors, own, judged, pool_labels)
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
        # Labelled passages are in one language: these are the vectors of all of them.
        likeness = similarity(teacher, vectors, pool_labels)
        tables.write(likeness, draft / "similarity.parquet", tables.SIMILARITY)
        tables.write_json(record, draft / "teacher.json")


def load_teacher(
    teacher: params.Encoder, batch_size: int, trusted: bool, attention: str | None
) -> tuple[encoder.Encoder, dict[str, Any]]:
    """The encoder that ranks, its vectors kept, and a record of it; `trusted` and `attention` are the base's."""
    if teacher.name == "base":
        unused = [key for key, value in teacher if value and key not in ("name", "dtype")]
        if unused:
            raise errors.UserError(f"teacher.{unused[0]} does not apply to teacher.name base: write null")
        loaded = encoder.load(models.BASE, batch_size, trusted, attention)
        if not isinstance(loaded, encoder.TransformerEncoder):  # a table, faster than reading what was kept
            return loaded, {"name": "base"}
        model, identity, record = loaded.model, f"{files.content(models.BASE)} {attention}", {"name": "base"}
    else:
        from stages.shared import pretrained

        model, record = pretrained.load(teacher, "teacher")
        loaded = encoder.TransformerEncoder(model, batch_size)
        folder = Path(teacher.name)
        identity = files.content(folder) if folder.is_dir() else f"{teacher.name} {record['revision']}"
    prompts = {role: model.prompts.get(name) or "" for role, name in encoder.PROMPT_NAMES.items()}
    run = {trait: value for trait, value in record.items() if trait not in ("name", "revision", "prompts")}
    # Batches are part of it: a text's last bits depend on what it is padded with. So are the tokens around a text: a
    # preset may add to those of the model's files.
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    around = backend.encode("a").ids if backend else None
    return KeptBlocks(lambda: loaded, [identity, run, batch_size, around], prompts), record


def positive_scores(
    asked: np.ndarray, vectors: np.ndarray, own: pl.DataFrame, judged: pl.DataFrame, pool_labels: pl.Series
) -> pl.Series:
    """Each query's score with its relevant passage in the searched language; of several, the lowest, which is the
    careful choice for margins."""
    lowest = np.full(len(own), np.inf, np.float32)
    pairs = own.select("query").with_row_index("row").join(judged.select("query", "number"), on="query")
    dots = np.einsum("ij,ij->i", asked[pairs["row"].to_numpy()], vectors[pairs["number"].to_numpy()])
    np.minimum.at(lowest, pairs["row"].to_numpy(), dots)
    for (label,), rows in own.with_row_index("row").filter(pl.col("label") != "").group_by("label"):
        row = rows["row"].to_numpy()
        dots = asked[row] @ vectors[(pool_labels == label).arg_true().to_numpy()].T
        lowest[row] = np.minimum(lowest[row], dots.min(axis=1))
    return pl.Series("positive_score", lowest)


def similarity(teacher: encoder.Encoder, vectors: np.ndarray, pool_labels: pl.Series) -> pl.DataFrame:
    """How alike labels are (tables.SIMILARITY): the cosine of their descriptions, if all have one, and that of their
    centroids, the means of their passages' `vectors`; and what the user says of it."""
    labels = tables.read(collection.CORPUS / "labels.parquet", tables.LABELS).sort("label")
    if labels.is_empty():
        return pl.DataFrame(schema=tables.SIMILARITY)
    found = {}
    names = labels["label"].to_list()
    numbers = {name: at for at, name in enumerate(names)}
    known = pool_labels != ""
    rows = pool_labels.filter(known).replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
    centroids = np.zeros((len(names), vectors.shape[1]), np.float32)
    np.add.at(centroids, rows, vectors[known.to_numpy()])
    found["centroids"] = encoder.normalized(centroids)
    if (labels["description"] != "").all():
        found["descriptions"] = encoder.encode_distinct(teacher, labels["description"].to_list(), "passage")
    own = [
        (kind, name, row)
        for kind, sides in sorted(found.items())
        for name, row in zip(names, (sides @ sides.T).tolist(), strict=True)
    ]
    given = tables.read(collection.CORPUS / "similarity.parquet", tables.SIMILARITY)
    return pl.concat([pl.DataFrame(own, tables.SIMILARITY, orient="row"), given]).sort("kind", "label")


if __name__ == "__main__":
    errors.run(main)
