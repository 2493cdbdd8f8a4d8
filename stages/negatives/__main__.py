"""negatives: for each strategy, k passages are kept as a query's negatives.

By the teacher's ranks (ranks.py): filters look at raw ranks and at scores beside the positive's (NV-Retriever, arXiv
2407.15831: `relative_margin` 0.05 is its TopK-PercPos at 95 %), in all languages if asked to (margins.py). By how
similar the labels of query and passage are (labels.py; arXiv 2506.02527). Beside them or alone, some drawn from all
passages. A passage that answers the query, in any language, or is its own text is never kept. What each filter dropped
is reported.
"""

import logging
from pathlib import Path

import numpy as np
import polars as pl

from stages.negatives import labels, margins, ranks
from stages.negatives.answers import Answers
from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES, CANDIDATES_FOLDER
from stages.schemas.negatives import NEGATIVES, NEGATIVES_FOLDER
from stages.schemas.similarity import SIMILARITY
from stages.settings.domains import read_domains
from stages.settings.languages import read_languages
from stages.settings.negatives import Negatives, read_negatives
from stages.settings.seed import read_seed
from stages.shared import collection, domains, errors, sampling, tables
from stages.shared.collection import Collection

log = logging.getLogger("negatives")
REPORT = Path("metrics/negatives.json")

DirectionCounts = dict[str, dict[str, int | float]]
# Of a strategy: `directions`, and of one by ranks `above_positive`, by composition.
StrategyReport = dict[str, DirectionCounts | dict[str, float]]


def main() -> None:
    strategies, languages, seed = read_negatives(), read_languages(), read_seed()
    pool = tables.read(CANDIDATES_FOLDER / "pool.parquet", CANDIDATE_POOL)["passage"]
    stored = collection.read(languages)
    answers = Answers(stored, pool)
    report: dict[str, StrategyReport] = {}
    with tables.replacing(NEGATIVES_FOLDER) as draft:
        for name, strategy in strategies.items():
            pick = by_rank if strategy.by_rank else by_query
            table, directions, above = pick(name, strategy, stored, answers, languages, seed)
            report[name] = {"directions": directions} | ({"above_positive": above} if above else {})
            if table.is_empty():
                raise errors.UserError(
                    f"negatives.{name} leaves no query {strategy.k} negatives: "
                    + ("widen its ranks, margins or scores" if strategy.by_rank else "set its direction to each")
                )
            tables.write(table.sort("query", "query_lang", "corpus_lang"), draft / f"{name}.parquet", NEGATIVES)
            for direction, counts in directions.items():
                log.info(f"{name} {direction}: " + ", ".join(f"{k} {v:,}" for k, v in counts.items()))
            for composition, share in above.items():
                log.info(f"{name} {composition}: {100 * share:.1f} % of the negatives above the triple's positive")
    tables.write_json(report, REPORT)


def by_rank(
    name: str, strategy: Negatives, stored: Collection, answers: Answers, languages: list[str], seed: int
) -> tuple[pl.DataFrame, DirectionCounts, dict[str, float]]:
    """The strategy's negatives (NEGATIVES), counts by direction in which they were mined, and by composition the share
    that scores above the triple's own positive."""
    ranked = tables.read(CANDIDATES_FOLDER / "ranked.parquet", CANDIDATES)
    parts, report = [pl.DataFrame(schema=NEGATIVES)], {}
    about = domains.of_passages(read_domains()) if strategy.within else None
    limited = margins.limits(ranked, strategy) if strategy.margin_against == "both" else None
    for query_lang, corpus_lang in _directions(strategy, languages):
        rows = ranked.filter(query_lang=query_lang, corpus_lang=corpus_lang)
        if rows.is_empty():  # of a knowledge base, which is in one language
            continue
        served = limited
        if limited is not None and strategy.direction == "each":
            served = limited.filter(query_lang=query_lang, corpus_lang=corpus_lang)
        table, counts = ranks.pick(rows, answers, stored.not_relevant, strategy, seed, served, about)
        if strategy.random:
            drawn = _random(name, strategy, answers, table["query"], table.select("query", passage="negatives"), seed)
            table = table.with_columns(negatives=pl.concat_list("negatives", drawn))
        parts.append(table)
        report[f"{query_lang}-{corpus_lang}"] = counts
    table = pl.concat(parts)
    if strategy.direction != "each":
        # The same passages in every direction: the compositions then differ in language alone.
        asked = ranked.select("query", "query_lang", "corpus_lang")
        table = asked.join(table.select("query", "negatives"), on="query")
    table = table.select(*NEGATIVES)
    return table, report, margins.above_positive(table, ranked, answers.pool, languages)


def by_query(
    name: str, strategy: Negatives, stored: Collection, answers: Answers, languages: list[str], seed: int
) -> tuple[pl.DataFrame, DirectionCounts, dict[str, float]]:
    """As `by_rank`, without shares, but chosen by labels or at random alone: the same passages in all of a query's
    languages.

    The counts: `queries`; by labels also `unlabelled` queries, which get no row; `similarity` of their labels and those
    of what was chosen for them, and `similarity_at_random`, that of all passages with another label, as means.
    """
    training = stored.queries.filter(split="train").select("query", query_lang="lang")
    searched = stored.passages.select(corpus_lang="lang").unique()
    mined = pl.DataFrame(
        _directions(strategy, languages), {"query_lang": pl.String, "corpus_lang": pl.String}, orient="row"
    )
    mined = mined.join(searched, on="corpus_lang", how="semi", maintain_order="left")
    asked = training.join(mined, on="query_lang", how="semi")["query"].unique().sort()
    chosen = np.empty((len(asked), 0), np.int64)
    facts = pl.DataFrame({"query": asked})
    if strategy.labels and strategy.chosen:
        measured = any(measure != "path" for measure in strategy.labels.similarity)
        measures = pl.DataFrame(schema=SIMILARITY)
        if measured:
            measures = tables.read(CANDIDATES_FOLDER / "similarity.parquet", SIMILARITY)
        similarity = labels.matrix(answers.labels, strategy.labels, measures, seed)
        own = answers.labels_among(answers.group_of(asked))
        asked, own = asked.filter(pl.Series(own >= 0)), own[own >= 0]
        chosen = labels.pick(name, strategy, answers, asked, similarity, seed)
        others = answers.sizes[: len(answers.labels)] * (1 - np.eye(len(answers.labels)))
        at_random = (similarity * others).sum(axis=1) / np.maximum(others.sum(axis=1), 1)
        found = pl.DataFrame(
            {
                "query": asked,
                "similarity": similarity[own[:, None], answers.groups[chosen]].mean(axis=1),
                "similarity_at_random": at_random[own],
            }
        )
        facts = facts.join(found, on="query", how="left")
    table = pl.DataFrame({"query": asked, "negatives": _names(chosen, answers.pool)})
    if strategy.random:
        drawn = _random(name, strategy, answers, asked, table.select("query", passage="negatives"), seed)
        table = table.with_columns(negatives=pl.concat_list("negatives", drawn))
    report: DirectionCounts = {}
    for query_lang, corpus_lang in mined.iter_rows():
        of_way = facts.join(training.filter(query_lang=query_lang), on="query", how="semi")
        if of_way.is_empty():
            continue
        counts = report[f"{query_lang}-{corpus_lang}"] = {"queries": len(of_way)}
        if "similarity" in of_way.columns:
            counts["unlabelled"] = of_way["similarity"].null_count()
        for fact in of_way.columns[1:]:
            if of_way[fact].count():
                counts[fact] = round(float(of_way[fact].mean()), 5)  # type: ignore[arg-type]
    rows = (
        training.join(searched, how="cross") if strategy.direction != "each" else training.join(mined, on="query_lang")
    )
    return rows.join(table, on="query").select(*NEGATIVES), report, {}


def _directions(strategy: Negatives, languages: list[str]) -> list[tuple[str, str]]:
    """The query and corpus languages in which the strategy's negatives are mined."""
    return [(q, c) for q in languages for c in languages if strategy.direction in ("each", f"{q}-{c}")]


def _random(
    name: str, strategy: Negatives, answers: Answers, queries: pl.Series, taken: pl.DataFrame, seed: int
) -> pl.Series:
    """`strategy.random` names for each query, drawn from all passages that do not answer it and are not `taken` (query,
    passage: a list)."""
    own, pairs = answers.excluded(queries, taken.explode("passage"))
    try:
        drawn = sampling.outside(
            queries.to_list(), own, answers.groups, pairs, strategy.random, f"{seed}/negatives/random"
        )
    except sampling.Short as short:
        of = f" of the label {answers.names[own[short.row]]!r}" if own[short.row] >= 0 else ""
        raise errors.UserError(
            f"negatives.{name} wants {strategy.random} random passages, but only {short.left} are left that do not "
            f"answer the query {queries[short.row]!r}{of}: lower k and random"
        ) from None
    return _names(drawn, answers.pool)


def _names(numbers: np.ndarray, pool: pl.Series) -> pl.Series:
    """The names of passages, as lists: `numbers` of shape [queries, any]."""
    flat = pool.gather(pl.Series(numbers.reshape(-1), dtype=pl.UInt32))
    return flat.reshape(numbers.shape).cast(pl.List(pl.String)).alias("negatives")


if __name__ == "__main__":
    errors.run(main)
