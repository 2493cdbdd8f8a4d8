"""triples: every composition of the languages, for each strategy of negatives.

A triple is ids alone, query, positive and negatives; the composition says in which language each is read. The texts are
looked up once, in `trainsets`. Positives are drawn by query id: the same in every composition and strategy.
"""

import logging
from pathlib import Path

import polars as pl

from stages.shared import collection, errors, params, sampling, seeds, tables
from stages.shared.collection import Collection
from stages.shared.languages import compositions

log = logging.getLogger("triples")
NEGATIVES = Path("data/negatives")
OUT = Path("data/triples")


def main() -> None:
    strategies, languages, settings, seed = params.read("negatives", "languages", "triples", "seed")
    answers = positives(collection.read(languages), settings.positives, seed)
    with tables.replacing(OUT) as draft:
        for strategy in strategies:
            mined = tables.read(NEGATIVES / f"{strategy}.parquet", tables.NEGATIVES)
            for composition in compositions(languages):
                # Negatives are those mined where the composition's query language asks its negative language.
                own = mined.filter(query_lang=composition.query, corpus_lang=composition.negative)
                triples = own.join(answers, on="query").select(*tables.TRIPLES).sort("query", "positive")
                tables.write(triples, draft / strategy / f"{composition.name}.parquet", tables.TRIPLES)
                log.info(f"{strategy} {composition.name}: {triples.height:,} triples")


def positives(stored: Collection, count: int | None, seed: int) -> pl.DataFrame:
    """Columns query and positive: the passages that answer each training query, `count` of them drawn by seed if it has
    more (arXiv 2506.02527, algorithm 1, step 3: one random entry of the index with the query's label)."""
    judged = stored.judgements.select("query", positive="passage")
    if count:
        numbers = {name: seeds.numbers(f"{seed}/positives", judged[name].to_list()) for name in judged.columns}
        judged = judged.with_columns(order=pl.Series(seeds.uniform(numbers["query"], numbers["positive"])))
        judged = judged.sort("query", "order").group_by("query", maintain_order=True).head(count).drop("order")
    labelled = stored.labels.filter(kind="query").join(
        stored.queries.filter(split="train"), left_on="id", right_on="query", how="semi"
    )
    if labelled.is_empty():
        return judged
    searched = stored.labels.filter(kind="passage")
    labels = searched["label"].unique().sort()
    asked, entries = (
        table["label"].cast(pl.Enum(labels)).to_physical().cast(pl.Int64).to_numpy() for table in (labelled, searched)
    )
    rows, drawn = sampling.own_label(
        labelled["id"].to_list(), asked, entries, count or len(entries), f"{seed}/positives"
    )
    found = pl.DataFrame({"query": labelled["id"].gather(rows), "positive": searched["id"].gather(drawn)})
    return pl.concat([judged, found])


if __name__ == "__main__":
    errors.run(main)
