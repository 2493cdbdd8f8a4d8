"""triples: every composition of the languages, for each strategy of negatives.

A triple is ids alone, query, positive and negatives; the composition says in which language each is read. The texts are
looked up once, in `trainsets`.
"""

import logging
from pathlib import Path

from stages.shared import collection, errors, params, tables
from stages.shared.languages import compositions

log = logging.getLogger("triples")
NEGATIVES = Path("data/negatives")
OUT = Path("data/triples")


def main() -> None:
    strategies, languages = params.read("negatives", "languages")
    judgements = collection.read().judgements.select("query", positive="passage")
    with tables.replacing(OUT) as draft:
        for strategy in strategies:
            mined = tables.read(NEGATIVES / f"{strategy}.parquet", tables.NEGATIVES)
            for composition in compositions(languages):
                # Negatives are those mined where the composition's query language asks its negative language.
                own = mined.filter(query_lang=composition.query, corpus_lang=composition.negative)
                triples = own.join(judgements, on="query").select(*tables.TRIPLES).sort("query", "positive")
                tables.write(triples, draft / strategy / f"{composition.name}.parquet", tables.TRIPLES)
                log.info(f"{strategy} {composition.name}: {triples.height:,} triples")


if __name__ == "__main__":
    errors.run(main)
