"""corpus: a source becomes the tables of passages, queries and judgements, split into train, dev and test."""

import logging

from stages.corpus import sources
from stages.shared import errors, params, split, tables
from stages.shared.collection import CORPUS

log = logging.getLogger("corpus")


def main() -> None:
    settings, languages, seed = params.read("corpus", "languages", "seed")
    languages = settings.languages or languages
    source = sources.read(settings, languages)
    passages = split.assign(source.passages, settings.split, seed).select(*tables.PASSAGES).sort("passage", "lang")
    with tables.replacing(CORPUS) as draft:
        tables.write(passages, draft / "passages.parquet", tables.PASSAGES)
        tables.write(source.queries.sort("query", "lang"), draft / "queries.parquet", tables.QUERIES)
        tables.write(source.judgements.sort("query", "passage"), draft / "judgements.parquet", tables.JUDGEMENTS)
    sizes = dict(passages.filter(lang=languages[0]).group_by("split").len().sort("split").iter_rows())
    log.info(
        f"{passages['passage'].n_unique():,} passages in {', '.join(languages)} "
        f"({', '.join(f'{name} {size:,}' for name, size in sizes.items())}), "
        f"{source.queries['query'].n_unique():,} queries of the source"
    )
    for reason, count in sorted(source.dropped.items()):
        if count:
            log.info(f"left out or changed: {count:,} passages {reason}")


if __name__ == "__main__":
    errors.run(main)
