"""triples: every composition of the languages, for each strategy of negatives.

A triple is ids alone, query, positive and negatives; the composition says in which language each is read. The texts are
looked up once, in `trainsets`. Positives are drawn by query id: the same in every composition and strategy.

Of n languages there are n x n x n compositions, but their ids do not depend on the positive's language, and with
negatives of one direction on none: equal files are one, by hard links where the file system has them, and in DVC's
cache anyway.
"""

import hashlib
import logging
import os
import shutil
from pathlib import Path

import polars as pl

from stages.schemas.negatives import NEGATIVES, NEGATIVES_FOLDER
from stages.schemas.triples import TRIPLES, TRIPLES_FOLDER
from stages.settings.languages import read_languages
from stages.settings.seed import read_seed
from stages.settings.triples import read_triples
from stages.shared import collection, errors, sampling, seeds, tables
from stages.shared.collection import Collection
from stages.shared.compositions import compositions

log = logging.getLogger("triples")


def main() -> None:
    languages, settings, seed = read_languages(), read_triples(), read_seed()
    answers = positives(collection.read(languages), settings.positives, seed)
    strategies = sorted(file.stem for file in NEGATIVES_FOLDER.glob("*.parquet"))
    if not strategies:
        raise errors.UserError(f"{NEGATIVES_FOLDER} has no table of negatives: run `dvc repro`")
    with tables.replacing(TRIPLES_FOLDER) as draft:
        for strategy in strategies:
            mined = tables.read(NEGATIVES_FOLDER / f"{strategy}.parquet", NEGATIVES)
            written: dict[tuple[str, str], tuple[Path, int]] = {}
            made: dict[bytes, Path] = {}
            for composition in compositions(languages):
                file, way = draft / strategy / f"{composition.name}.parquet", (composition.query, composition.negative)
                if way in written:
                    _same(written[way][0], file)
                else:
                    # Negatives are those mined where the composition's query language asks its negative language.
                    own = mined.filter(query_lang=composition.query, corpus_lang=composition.negative)
                    triples = own.join(answers, on="query").select(*TRIPLES).sort("query", "positive")
                    tables.write(triples, file, TRIPLES)
                    first = made.setdefault(hashlib.sha256(file.read_bytes()).digest(), file)
                    if first != file:
                        file.unlink()
                        _same(first, file)
                    written[way] = first, triples.height
                log.info(f"{strategy} {composition.name}: {written[way][1]:,} triples")


def _same(written: Path, file: Path) -> None:
    try:
        os.link(written, file)
    except OSError:
        shutil.copyfile(written, file)


def positives(stored: Collection, count: int | None, seed: int) -> pl.DataFrame:
    """Columns query and positive: the passages that answer each training query, `count` of them drawn by seed if it has
    more (arXiv 2506.02527, algorithm 1, step 3: one random entry of the index with the query's label)."""
    trained = stored.queries.filter(split="train").select("query").unique()
    members = stored.groups().rename({"passage": "positive"})
    qrels = stored.qrels.join(trained, on="query", how="semi")
    if count is None:
        return qrels.join(members, on="group").select("query", "positive")
    several = pl.len().over("query") > 1
    return pl.concat(
        [
            _of_one_group(qrels.filter(~several), members, count, f"{seed}/positives"),
            _of_several(qrels.filter(several).join(members, on="group"), count, f"{seed}/positives"),
        ]
    )


def _of_one_group(qrels: pl.DataFrame, members: pl.DataFrame, count: int, seed: str) -> pl.DataFrame:
    """Drawn without spelling out all passages of all queries, of which a label may have many."""
    names = members["group"].unique().sort().to_frame("group").with_row_index("number")
    asked, entries = (
        table.join(names, on="group", maintain_order="left")["number"].cast(pl.Int64).to_numpy()
        for table in (qrels, members)
    )
    rows, drawn = sampling.own_group(qrels["query"].to_list(), asked, entries, count, seed)
    return pl.DataFrame({"query": qrels["query"].gather(rows), "positive": members["positive"].gather(drawn)})


def _of_several(answers: pl.DataFrame, count: int, seed: str) -> pl.DataFrame:
    numbers = {name: seeds.numbers(seed, answers[name].to_list()) for name in ("query", "positive")}
    order = pl.Series("order", seeds.uniform(numbers["query"], numbers["positive"]), pl.Float64)
    ordered = answers.with_columns(order).sort("query", "order")
    return ordered.group_by("query", maintain_order=True).head(count).select("query", "positive")


if __name__ == "__main__":
    errors.run(main)
