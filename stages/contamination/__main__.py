"""contamination: what the training sets hold of the benchmarks, exactly or nearly, in which slot and language.

Of a benchmark count its queries and the passages that answer them: those are what a model must not have seen. The other
passages are only searched, and a collection that is both trained on and searched has them in training by right. A text
that training has as a negative alone is told, but does not count: hard negatives are drawn from what is searched, and
training then learns of it only what it does not answer, and nothing of the query that it does. Of a benchmark by label
the queries alone count: its passages are the labelled entries that training answers with as well, so that of them it is
only told how many training has in any slot (`passages_known`).

Exact: equal but for case, width, punctuation and white space. Near: the Jaccard similarity of the sets of character
n-grams is at least `contamination.near`; MinHash only proposes the pairs (of those just as similar as that, it misses
at most one in a thousand), and their similarity is counted. A short text is looked for exactly alone, for there a
letter makes another text. What is only a part of a longer text is not found.
"""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
from tqdm import tqdm

from stages.contamination import limits
from stages.contamination.examples import EXAMPLES, EXAMPLES_FILE, examples
from stages.contamination.limits import PLURALS
from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES, BENCHMARKS_FOLDER
from stages.schemas.contamination import CONTAMINATION_METRICS
from stages.schemas.trainsets import TRAINING_ROWS, TRAINING_TEXTS, TRAINSETS_FOLDER
from stages.settings.benchmarks import read_benchmarks
from stages.settings.contamination import read_contamination
from stages.settings.reading import read_names
from stages.shared import duplicates, errors, sketches, tables
from stages.shared.passages import passage_text
from stages.shared.tasks import POOL

log = logging.getLogger("contamination")
# Written when every limit is kept: `train` depends on it, so that a refusal comes before training is paid for.
ALLOWED = Path("data/contamination/allowed")

FEWEST = 16  # n-grams of a text that may be nearly another: about 19 letters
TEXTS_AT_ONCE = 10_000  # texts of training looked up at once


def main() -> None:
    settings, benchmarks = read_contamination(), read_benchmarks()
    keys = {name: f"recipes.{name}" for name in read_names("recipes")}
    keys |= {name: f"rerankers.{name}" for name in read_names("rerankers")}
    recipes = list(keys)
    ALLOWED.unlink(missing_ok=True)
    about = {name: tables.read_json(BENCHMARKS_FOLDER / name / "about.json") for name in benchmarks}
    asked = pl.concat(asked_of(name) for name in benchmarks).with_columns(plain=sketches.plain(pl.col("text")))
    plains = asked["plain"].unique().sort()
    pairs = matches(plains, trained_on(recipes), settings.near)
    asked = asked.join(pl.DataFrame({"plain": plains}).with_row_index("number"), on="plain").drop("plain")
    report: dict[str, dict] = {name: {} for name in benchmarks}
    shown = [pl.DataFrame(schema=EXAMPLES)]
    for recipe in recipes:
        hits = asked.join(uses(recipe, pairs), on="number")
        shown.append(examples(hits, recipe, settings.examples))
        for name in benchmarks:
            own = asked.filter(benchmark=name)
            report[name][recipe] = shares(own, hits.filter(benchmark=name), about[name]["by_label"])
    ordered = ("benchmark", "recipe", "kind", "lang", "name")
    tables.write(pl.concat(shown).sort(ordered), EXAMPLES_FILE, EXAMPLES)
    tables.write_json(report, CONTAMINATION_METRICS)
    for name, by_recipe in report.items():
        found = [counts for by_lang in by_recipe.values() for counts in by_lang.values()]
        most = [max(counts.get(plural, 0) for counts in found) for plural in PLURALS.values()]
        log.info(f"{name}: at most {100 * most[0]:.2f} % of its queries and {100 * most[1]:.2f} % of its passages")
    limits.check(report, benchmarks, keys)
    tables.write_text("No recipe trains on more of a benchmark than it allows.\n", ALLOWED)


def asked_of(benchmark: str) -> pl.DataFrame:
    """A benchmark's queries and relevant passages: columns benchmark, kind, name, lang and text."""
    folder = BENCHMARKS_FOLDER / benchmark
    queries = tables.read(folder / "queries.parquet", BENCHMARK_QUERIES).rename({"query": "name"})
    qrels = tables.read(folder / "qrels.parquet", BENCHMARK_QRELS).filter(pl.col("relevance") > 0)
    passages = tables.read(folder / "passages.parquet", BENCHMARK_PASSAGES)
    relevant = passages.join(qrels, on=["passage", "lang"], how="semi").rename({"passage": "name"})
    kinds = {"query": queries, "passage": relevant.with_columns(passage_text())}
    return pl.concat(
        table.select(pl.lit(benchmark).alias("benchmark"), pl.lit(kind).alias("kind"), "name", "lang", "text")
        for kind, table in kinds.items()
    )


def trained_on(recipes: list[str]) -> pl.Series:
    """The distinct texts of all training sets, sorted."""
    texts = [tables.read(TRAINSETS_FOLDER / name / "texts.parquet", TRAINING_TEXTS)["text"] for name in recipes]
    return pl.concat(texts).unique().sort()


def matches(plains: pl.Series, trained: pl.Series, near: float | None) -> pl.DataFrame:
    """The texts of `trained` that are one of the distinct `plains` or, if `near` is given, nearly one: columns number
    (of the row of `plains`), trained (text), match and similarity."""
    wanted = pl.DataFrame({"own": plains}).with_row_index("number")
    bands = _bands(plains, near) if near and len(plains) else []
    parts = [pl.DataFrame(schema={"number": pl.UInt32, **_columns("trained", "match", "similarity")})]
    with tqdm(total=len(trained), desc="looking for benchmarks", unit=" texts") as bar:
        for batch in trained.to_frame("trained").iter_slices(TEXTS_AT_ONCE):
            looked_up = batch.with_columns(other=sketches.plain(pl.col("trained")))
            equal = looked_up.join(wanted, left_on="other", right_on="own")
            parts.append(equal.select("number", "trained", match=pl.lit("exact"), similarity=pl.lit(1.0)))
            if near and bands:
                parts.append(_near(looked_up, wanted, bands, near))
            bar.update(batch.height)
    return pl.concat(parts)


def _bands(plains: pl.Series, near: float) -> list[pl.DataFrame]:
    """For each band, its MinHash key of every text: columns key, and the text's row number."""
    return [pl.DataFrame({"key": column}).with_row_index("row") for column in sketches.keys(plains, near).T]


def _near(batch: pl.DataFrame, wanted: pl.DataFrame, bands: list[pl.DataFrame], near: float) -> pl.DataFrame:
    """The pairs of texts that share a band, if they are as similar as `near` and not the same."""
    pairs = [
        own.join(other, on="key").select(number="row", other="row_right")
        for own, other in zip(bands, _bands(batch["other"], near), strict=True)
    ]
    proposed = pl.concat(pairs).unique().sort("number", "other")
    rows = []
    last, grams = -1, set[str]()
    for number, other in proposed.iter_rows():
        if number != last:
            last, grams = number, duplicates.grams(wanted["own"][number])
        similarity = duplicates.jaccard(grams, duplicates.grams(batch["other"][other]))
        if similarity >= near and len(grams) >= FEWEST and wanted["own"][number] != batch["other"][other]:
            rows.append((number, batch["trained"][other], "near", similarity))
    return pl.DataFrame(rows, {"number": pl.UInt32, **_columns("trained", "match", "similarity")}, orient="row")


def uses(recipe: str, found: pl.DataFrame) -> pl.DataFrame:
    """`found` with the slots in which the recipe has the text: a row for each text, slot and match."""
    folder = TRAINSETS_FOLDER / recipe
    rows = tables.read(folder / "rows.parquet", TRAINING_ROWS)
    texts = tables.read(folder / "texts.parquet", TRAINING_TEXTS).with_row_index("row")
    slots = {"query": rows["query"], "positive": rows["positive"], "negative": rows["negatives"].explode()}
    used = pl.concat(
        pl.DataFrame({"row": numbers.unique()}).with_columns(slot=pl.lit(slot)) for slot, numbers in slots.items()
    )
    return found.join(texts, left_on="trained", right_on="text").join(used, on="row").drop("row")


def shares(asked: pl.DataFrame, hits: pl.DataFrame, by_label: bool = False) -> dict[str, dict[str, float]]:
    """Of one benchmark and recipe, by language: the share of its queries and of its relevant passages that occur as
    queries or positives, of that the exact ones, and the share that occurs as negatives alone.

    `*` is the share of the parallel groups of which a text occurs in any language.
    """
    languages = asked["lang"].unique().sort()
    by_language = {lang: _shares(asked.filter(lang=lang), hits.filter(lang=lang), by_label) for lang in languages}
    return {**by_language, POOL: _shares(asked, hits, by_label)}


def _shares(asked: pl.DataFrame, hits: pl.DataFrame, by_label: bool) -> dict[str, float]:
    found = {}
    for kind, plural in PLURALS.items():
        total = asked.filter(kind=kind)["name"].n_unique()
        own = hits.filter(kind=kind)
        counted = own.filter(pl.col("slot") != "negative")
        if total and by_label and kind == "passage":
            found["passages_known"] = _share(own["name"].n_unique(), total)
        elif total:
            found[plural] = _share(counted["name"].n_unique(), total)
            found[f"{plural}_exact"] = _share(counted.filter(match="exact")["name"].n_unique(), total)
            found[f"{plural}_negative"] = _share(own["name"].n_unique() - counted["name"].n_unique(), total)
    return found


def _share(part: int, total: int) -> float:
    """Rounded, but never to none."""
    return max(round(part / total, 5), 0.00001) if part else 0.0


def _columns(*names: str) -> tables.Schema:
    return {name: EXAMPLES[name] for name in names}


if __name__ == "__main__":
    errors.run(main)
