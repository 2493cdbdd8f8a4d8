"""trainsets: the compositions of a recipe or a re-ranker become one training set, with every text stored once.

How many queries and rows each has, and why others have none, is counted: recipes differ in language alone only where
they train on the same queries.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES, CANDIDATES_FOLDER
from stages.schemas.codeswitched import CODESWITCHED, CODESWITCHED_FOLDER
from stages.schemas.trainsets import BATCHES, TEACHER_SCORES, TRAINING_ROWS, TRAINING_TEXTS, TRAINSETS_FOLDER
from stages.schemas.triples import TRIPLES, TRIPLES_FOLDER
from stages.settings.distillation import read_distillation
from stages.settings.domains import read_domains
from stages.settings.languages import read_languages
from stages.settings.negatives import read_negatives
from stages.settings.recipes import read_recipes
from stages.settings.rerankers import read_rerankers
from stages.settings.seed import read_seed
from stages.settings.training_sets import BatchScheme, SwitchedShare, TrainingSet
from stages.shared import collection, domains, errors, identical, seeds, tables, teacher_scores
from stages.shared.collection import Collection
from stages.shared.compositions import Composition, selected

log = logging.getLogger("trainsets")
REPORT = Path("metrics/trainsets.json")


class Groups(NamedTuple):
    """`of_passages`: columns passage and group, as a number; `beside`: query and the groups that are no negatives'."""

    of_passages: pl.DataFrame
    beside: pl.DataFrame


class TeacherLists(NamedTuple):
    """What the teacher ranked: `ranked` (CANDIDATES) of the passages in `pool`; `several`, the queries that more than
    one passage answers, of which the lists' `positive_score` is the lowest."""

    ranked: pl.DataFrame
    pool: pl.DataFrame
    several: pl.Series

    @classmethod
    def read(cls, stored: Collection) -> "TeacherLists":
        ranked = tables.read(CANDIDATES_FOLDER / "ranked.parquet", CANDIDATES)
        pool = tables.read(CANDIDATES_FOLDER / "pool.parquet", CANDIDATE_POOL).with_row_index("number")
        answers = stored.qrels.join(stored.groups(), on="group")["query"].value_counts()
        return cls(ranked, pool, answers.filter(pl.col("count") > 1)["query"])

    def scored(self, name: str, triples: pl.DataFrame, slots: Composition, direction: str) -> pl.DataFrame:
        """`triples` of the recipe `name` with `scores`, the teacher's of each one's positive and negatives.

        They are those of the ranking that the negatives come from. Mined in each direction, that is of the triple's own
        languages: the negatives as the query's language ranks theirs, the positive as it ranks the positive's. Mined in
        one `direction`, it is that one for all compositions: what the teacher holds there is then taught across
        languages. Raises `UserError` if the teacher did not score a passage.
        """
        ways = [
            f"{slots.query}-{lang}" if direction == "each" else direction for lang in (slots.positive, slots.negative)
        ]
        positive, negative = (self._lists(triples["query"], way) for way in ways)
        lacking = 2 * triples.height - positive.height - negative.height
        if triples.is_empty() or lacking:
            scores = np.zeros((0, 0), np.float32)
        else:
            own, listed = teacher_scores.scored(self._numbers(triples["positive"], 1), positive)
            # Beyond the list, the score of a query's only positive is known all the same.
            alone = ~triples["query"].is_in(self.several.implode()).to_numpy()[:, None]
            own = np.where(listed, own, positive["positive_score"].to_numpy()[:, None])
            k = len(triples["negatives"][0])
            others, known = teacher_scores.scored(self._numbers(triples["negatives"].explode(), k), negative)
            lacking = int((~(listed | alone)).sum() + (~known).sum())
            scores = np.concatenate([own, others], axis=1).astype(np.float32)
        if lacking:
            raise errors.UserError(
                f"recipes.{name}: the teacher did not score {lacking:,} passages of {slots.name}, which lie below "
                "candidates.depth: raise it, or write train.distillation: null"
            )
        return triples.with_columns(scores=pl.Series(scores.tolist(), dtype=pl.List(pl.Float32)))

    def _lists(self, queries: pl.Series, direction: str) -> pl.DataFrame:
        """The list of each of `queries` in a direction, in their order."""
        own = self.ranked.filter(pl.concat_str("query_lang", "corpus_lang", separator="-") == direction)
        return queries.to_frame().join(own, on="query", how="inner", maintain_order="left")

    def _numbers(self, passages: pl.Series, width: int) -> np.ndarray:
        named = passages.to_frame("passage").join(self.pool, on="passage", how="left", maintain_order="left")
        return named["number"].to_numpy().reshape(-1, width)


def main() -> None:
    rerankers, languages, seed = read_rerankers(), read_languages(), read_seed()
    recipes: dict[str, TrainingSet] = {**read_recipes(), **rerankers}
    stored = collection.read(languages)
    synthetic = stored.queries.filter(origin="synthetic")["query"].unique()
    texts = stored.texts()
    numbered = stored.groups().with_row_index("number")
    groups = numbered.select("passage", group=pl.col("number").first().over("group"))
    grouped = Groups(groups, not_negatives(stored, groups))
    asked = stored.queries.filter(split="train").select("query", "lang").unique()
    strategies, teacher = read_negatives(), TeacherLists.read(stored) if read_distillation() else None
    limited = any(recipe.domains for recipe in recipes.values())
    about = domains.of_passages(read_domains()) if limited else pl.DataFrame()
    counts: dict[str, dict[str, dict[str, int]]] = {}
    trained: list[set[str]] = []
    with tables.replacing(TRAINSETS_FOLDER) as draft:
        for name, recipe in recipes.items():
            compositions = selected(recipe.compositions, languages)
            parts, counts[name] = [], {}
            heard = teacher if name not in rerankers else None
            trained.append(set())
            for slots in compositions:
                file = TRIPLES_FOLDER / recipe.negatives / f"{slots.name}.parquet"
                found = tables.read(file, TRIPLES)
                own = of_domains(found, about, recipe.domains) if recipe.domains else found
                own = of_part(own, recipe.part, seed) if recipe.part else own
                drawn = own if recipe.sample is None else sampled(own, recipe.sample, f"{seed}/sample/{name}")
                triples = drawn if recipe.synthetic is None else mixed(drawn, synthetic, recipe.synthetic, seed)
                if heard:
                    triples = heard.scored(name, triples, slots, strategies[recipe.negatives].direction)
                counts[name][slots.name] = counted(asked.filter(lang=slots.query)["query"], found, own, triples)
                if recipe.switched is None:
                    parts.append(with_texts(triples, slots, texts, grouped))
                else:
                    rows, switched = with_switched(triples, slots, texts, grouped, recipe.switched, seed)
                    parts.append(rows)
                    counts[name][slots.name] |= {"rows": rows.height, "switched": switched}
                trained[-1].update(triples["query"])
            spelt = pl.concat(parts)
            rows, distinct = store_once(spelt)
            if rows.is_empty():
                group = "rerankers" if name in rerankers else "recipes"
                raise errors.UserError(f"{group}.{name} has no triple: {missing(recipe)}")
            tables.write(distinct, draft / name / "texts.parquet", TRAINING_TEXTS)
            tables.write(rows, draft / name / "rows.parquet", TRAINING_ROWS)
            if heard:
                tables.write(spelt.select("scores"), draft / name / "scores.parquet", TEACHER_SCORES)
            tables.write(batches(recipe.batches, compositions, rows), draft / name / "batches.parquet", BATCHES)
            log.info(f"{name}: {rows.height:,} rows, {distinct.height:,} texts")
    queries = {"every_recipe": len(set.intersection(*trained)), "any_recipe": len(set.union(*trained))}
    log.info("queries in every recipe {every_recipe:,}, in any {any_recipe:,}".format(**queries))
    tables.write_json({"recipes": counts, "queries": queries}, REPORT)


def counted(asked: pl.Series, found: pl.DataFrame, own: pl.DataFrame, kept: pl.DataFrame) -> dict[str, int]:
    """Of a composition: the training queries `asked` in its language; those without triples, since the strategy left
    them no negatives; if there are any, those whose triples (`found`) are `elsewhere`, not among its `own` domains or
    part; those whose triples are more than the recipe's shares take; queries and rows `kept`."""
    having, within, queries = (table["query"].n_unique() for table in (found, own, kept))
    return {
        "asked": len(asked),
        "no_negatives": len(asked) - having,
        **({"elsewhere": having - within} if having > within else {}),
        "over_share": within - queries,
        "queries": queries,
        "rows": kept.height,
    }


def missing(recipe: TrainingSet) -> str:
    """What a training set without a triple lacks."""
    if recipe.domains or recipe.part:
        kept = " and ".join(
            f"{key} {found}" for key, found in (("domains", recipe.domains), ("part", recipe.part)) if found
        )
        return f"{kept} leaves none of those that negatives.{recipe.negatives} makes: widen it"
    if recipe.sample is not None:
        return f"sample {recipe.sample:g} draws none of the few queries that have negatives: raise it"
    if not recipe.synthetic:
        return f"no training query of its languages has negatives by negatives.{recipe.negatives}"
    kinds = "synthetic training queries" + (" and others" if recipe.synthetic < 1 else "")
    return f"with synthetic {recipe.synthetic:g} there must be {kinds} in its languages"


def of_domains(triples: pl.DataFrame, about: pl.DataFrame, named: list[str]) -> pl.DataFrame:
    """The triples whose positive is of a domain that is `named`; `about` has passage and domain."""
    own = about.filter(pl.col("domain").is_in(named))
    return triples.join(own, left_on="positive", right_on="passage", how="semi", maintain_order="left")


def of_part(triples: pl.DataFrame, part: list[float], seed: int) -> pl.DataFrame:
    """The triples whose positive is drawn into the `part` [from, to) of all passages, by seed alone: parts that do not
    overlap share no positive, whichever recipes have them."""
    places = seeds.numbers(f"{seed}/part", triples["positive"].to_list()) / 2.0**64
    return triples.filter(pl.Series((part[0] <= places) & (places < part[1])))


def sampled(triples: pl.DataFrame, share: float, seed: str) -> pl.DataFrame:
    """The triples of about a `share` of the queries, the same ones in every composition; of two shares drawn with one
    seed the greater has all of the smaller (bagging: arXiv 2602.05787)."""
    places = seeds.numbers(seed, triples["query"].to_list()) / 2.0**64
    return triples.filter(pl.Series(places < share))


def mixed(triples: pl.DataFrame, synthetic: pl.Series, share: float, seed: int) -> pl.DataFrame:
    """As many of the triples as leave those of `synthetic` queries the given share, drawn by query id."""
    written = triples["query"].is_in(synthetic.implode())
    most = min(
        (int(count) / part if part else np.inf)
        for count, part in ((written.sum(), share), ((~written).sum(), 1 - share))
    )
    order = pl.Series(seeds.numbers(f"{seed}/mixed", triples["query"].to_list()))
    kept = [
        triples.with_columns(order=order).filter(of).sort("order", "positive").head(round(most * part)).drop("order")
        for of, part in ((written, share), (~written, 1 - share))
    ]
    return pl.concat(kept).sort("query", "positive")


def with_switched(
    triples: pl.DataFrame,
    slots: Composition,
    texts: pl.DataFrame,
    groups: Groups,
    switched: SwitchedShare,
    seed: int,
) -> tuple[pl.DataFrame, int]:
    """As `with_texts`, with the share `switched` of the queries, drawn by their ids, in code-switched texts, their
    passages included; and how many rows those are.

    Of a variant with several draws all rows are there as often, each time with the next draw: a pass over the training
    set is that many passes over the triples. Raises `UserError` if the variant has no texts of a slot's language.
    """
    variant = tables.read(CODESWITCHED_FOLDER / f"{switched.variant}.parquet", CODESWITCHED)
    if variant.is_empty():
        raise errors.UserError(
            f"codeswitch.{switched.variant}, which a recipe is to train on, switches nothing: name another lexicon"
        )
    held = variant.select("side", "lang").unique()
    for side, lang in (("query", slots.query), ("passage", slots.positive), ("passage", slots.negative)):
        if side in held["side"] and held.filter(side=side, lang=lang).is_empty():
            raise errors.UserError(
                f"codeswitch.{switched.variant} has no {side} in {lang}, which {slots.name} needs: its lexicon lacks a "
                f"table from {lang}"
            )
    queries = triples.select(pl.col("query").unique().sort())
    order = pl.Series("order", seeds.numbers(f"{seed}/switched", queries["query"].to_list()))
    taken = queries.with_columns(order).sort("order").head(round(switched.share * queries.height))["query"]
    of_taken = triples["query"].is_in(taken.implode())
    parts = []
    for draw in range(int(variant["draw"].max()) + 1):  # type: ignore[arg-type]
        drawn = texts.join(variant.filter(draw=draw), on=["side", "id", "lang"], how="left", suffix="_switched")
        own = drawn.select("side", "id", "lang", text=pl.coalesce("text_switched", "text"))
        parts += [with_texts(triples.filter(~of_taken), slots, texts, groups)]
        parts += [with_texts(triples.filter(of_taken), slots, own, groups)]
    return pl.concat(parts), int(of_taken.sum()) * (len(parts) // 2)


def batches(wanted: BatchScheme, compositions: list[Composition], rows: pl.DataFrame) -> pl.DataFrame:
    """The pools that batches are drawn from (BATCHES): of x-x-mono one for each language; of hybrid (arXiv 2408.10536,
    section 3) these with the share alpha, and else the compositions that cross, mixed. Languages are drawn in
    proportion to their rows to the power of `draw`: 0 each alike, 1 by size. The other schemes mix all rows."""
    if wanted.scheme not in ("x-x-mono", "hybrid"):
        return pl.DataFrame(schema=BATCHES)
    counts = dict(rows["composition"].value_counts().iter_rows())
    # A language without rows is no pool of no share, but one that training refuses.
    weights = {c.name: max(counts.get(c.name, 0), 1) ** wanted.exponent for c in compositions if c.is_mono}
    pools = [(wanted.mono * weight / sum(weights.values()), [name]) for name, weight in weights.items()]
    pools.append((1 - wanted.mono, [c.name for c in compositions if c.crosses]))
    return pl.DataFrame([pool for pool in pools if pool[0] > 0], schema=BATCHES, orient="row")


def not_negatives(stored: Collection, groups: pl.DataFrame) -> pl.DataFrame:
    """Columns query and beside: the groups, as numbers, of all that answers a training query or is its own text, where
    that is more than one group. `groups` has passage and group."""
    named = stored.groups().rename({"group": "name"}).join(groups, on="passage")
    answering = stored.qrels.join(named.select("group", "name").unique(), left_on="group", right_on="name")
    itself = identical.of_training(stored.queries, stored.passages, stored.by_label).join(groups, on="passage")
    pairs = pl.concat([answering.select("query", group="group_right"), itself.select("query", "group")]).unique()
    found = pairs.sort("query", "group").group_by("query", maintain_order=True).agg(beside="group")
    return found.filter(pl.col("beside").list.len() > 1)


def with_texts(triples: pl.DataFrame, slots: Composition, texts: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Columns composition, query, positive (texts), negatives (texts) and groups, a row a triple; and `scores`, if
    `triples` have them."""

    def side(name: str, lang: str) -> pl.DataFrame:
        return texts.filter(side=name, lang=lang).select("id", "text")

    also = [name for name in triples.columns if name == "scores"]
    rows = triples.with_row_index("row").with_columns(passage=pl.concat_list("positive", "negatives"))
    long = rows.select("row", "passage", slot=pl.int_ranges(pl.col("passage").list.len())).explode("passage", "slot")
    positives = long.filter(slot=0).join(side("passage", slots.positive), left_on="passage", right_on="id")
    negatives = long.filter(pl.col("slot") > 0).join(side("passage", slots.negative), left_on="passage", right_on="id")
    grouped = long.join(groups.of_passages, on="passage").sort("row", "slot")
    grouped = grouped.group_by("row", maintain_order=True).agg("group")
    own = rows.select("row", "query").join(groups.beside, on="query").select("row", "beside")
    grouped = grouped.join(own, on="row", how="left", maintain_order="left").select(
        "row",
        groups=pl.concat_list(
            "group", pl.col("beside").fill_null([]).list.set_difference(pl.col("group").list.head(1)).list.sort()
        ),
    )
    return (
        rows.select("row", "query", *also)
        .join(side("query", slots.query), left_on="query", right_on="id")
        .join(positives.select("row", positive="text"), on="row")
        .join(negatives.sort("row", "slot").group_by("row", maintain_order=True).agg(negatives="text"), on="row")
        .join(grouped, on="row")
        .sort("row")
        .select(
            pl.lit(slots.name).alias("composition"),
            pl.col("text").alias("query"),
            "positive",
            "negatives",
            "groups",
            *also,
        )
    )


def store_once(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Replace texts by their row numbers in a table of the distinct texts, sorted."""
    used = pl.concat([rows["query"], rows["positive"], rows["negatives"].explode()]).unique().sort()
    distinct = used.to_frame("text")
    numbers = distinct.with_row_index("number")

    def number(column: pl.Series) -> pl.Series:
        return column.to_frame("text").join(numbers, on="text", how="left", maintain_order="left")["number"]

    k = int(rows["negatives"].list.len().max() or 0)  # type: ignore[arg-type]
    negatives = number(rows["negatives"].explode()).reshape((rows.height, k)).cast(pl.List(pl.UInt32))
    return (
        rows.with_columns(
            number(rows["query"]).alias("query"),
            number(rows["positive"]).alias("positive"),
            negatives.alias("negatives"),
        ).select(*TRAINING_ROWS),
        distinct,
    )


if __name__ == "__main__":
    errors.run(main)
