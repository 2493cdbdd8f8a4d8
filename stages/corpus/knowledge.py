"""A labelled knowledge base as a corpus (arXiv 2506.02527, algorithm 1, step 1).

Of each label's entries a share, drawn by seed, is the index (N1): these are the passages, in one language. The others
(N2) are queries, in every language that the source has, of train, dev or test; queries that are synthetic, or of dev or
test by the source's own account, join them. Questions of dev and test that no entry fits are queries without a label.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.corpus.clean import NO_TRANSLATION, clean
from stages.corpus.intake import READ
from stages.corpus.output import Output, spread
from stages.corpus.readers import tabular
from stages.schemas.similarity import SIMILARITY
from stages.schemas.texts import LABELLED, LABELS, SPLITS
from stages.settings.corpus import Corpus, Labelled, LabelledTable
from stages.shared import codes, labelled_rows, records, seeds, separated, sketches, split, tables, untranslated
from stages.shared.codes import Wanted
from stages.shared.errors import UserError
from stages.shared.label_names import NO_LABEL

log = logging.getLogger("corpus")
LABELLED_TEXTS: tables.Schema = {
    "place": pl.String,
    "table": pl.String,
    "role": pl.String,
    "id": pl.String,
    "label": pl.String,
    "lang": pl.String,
    "text": pl.String,
}
# In whose favour a text that stands twice is decided: what is measured on is not trained on.
ORDER = ("test", "dev", "entries", "synthetic")


def build(settings: Corpus, languages: list[str], seed: int, draft: Path) -> dict[str, Any]:
    """Write the tables into the folder `draft`, and return what was counted."""
    base = settings.labelled
    assert base is not None  # Corpus has checked it
    left_out: Counter[str] = Counter()
    wanted = Wanted(languages, settings.codes)
    descriptions, found = read(settings, base, wanted, left_out)
    counted = Counter(found.unique(["table", "id"])["table"].to_list())
    kept, counts = cleaned(found, languages, settings, left_out)
    texts = distinct(kept, settings.duplicates.exact, left_out)
    if settings.limit:
        beyond = texts.filter(role="entries")["id"].unique(maintain_order=True)[settings.limit :]
        texts = texts.filter(~pl.col("id").is_in(beyond.implode()))
    outside = texts.filter(pl.col("label").is_in(base.out_of_scope))
    held_out = pl.col("role").is_in(["dev", "test"])
    left_out["out of scope, and so of no use in training"] = outside.filter(~held_out)["id"].n_unique()
    outside = outside.filter(held_out).unique("id", maintain_order=True)
    if missing := sorted(set(base.out_of_scope) - {*found["label"]}):
        raise UserError(f"corpus.labelled.out_of_scope: {settings.path} has no row of the label {missing[0]!r}")
    rows = share(texts.filter(~pl.col("label").is_in(base.out_of_scope)), base, settings, seed)
    passages = texts.join(rows.filter(split="index"), on="id", how="semi").filter(lang=base.language)
    if passages.is_empty():
        raise UserError(f"{settings.path} has no entry in {base.language}: check corpus.labelled")
    searched = rows.filter(split="index")["label"].unique().sort()
    untrained = searched.filter(~searched.is_in(rows.filter(split="train")["label"].implode())).to_list()
    unsearched = sorted({*rows["label"], *descriptions} - {*searched, *base.out_of_scope})
    lost = rows.filter((pl.col("split") != "index") & pl.col("label").is_in(unsearched))
    left_out["whose label no entry of the index has"] = lost.height
    rows = rows.join(lost, on="id", how="anti")
    outside = outside.select("id", "role", label=pl.lit(NO_LABEL), split="role").select(rows.columns)
    rows = pl.concat([rows, outside])
    asked = texts.join(rows.filter(pl.col("split") != "index"), on="id", how="semi").join(passages, on="id", how="anti")
    names = sorted({*searched, *rows["label"]} - {NO_LABEL})
    with Output(draft) as output:
        output.write(
            "passages",
            passages.select(
                passage="id", lang="lang", title=pl.lit(""), text="text", stratum="label", split=pl.lit("train")
            ).sort("passage"),
        )
        output.write("queries", asked.select("lang", "text", query="id").sort("query", "lang"))
    members = rows.select(
        "id",
        "label",
        kind=pl.when(pl.col("split") == "index").then(pl.lit("passage")).otherwise(pl.lit("query")),
        origin=pl.when(pl.col("role") == "synthetic").then(pl.lit("synthetic")).otherwise(pl.lit("labelled")),
        split=pl.when(pl.col("split") == "index").then(pl.lit("train")).otherwise(pl.col("split")),
    )
    write(
        draft,
        members.select(*LABELLED).sort("kind", "id"),
        pl.DataFrame([(name, descriptions.get(name, "")) for name in names], LABELS, orient="row"),
        given(Path(settings.path) / base.similarity, names) if base.similarity else None,
    )
    for what, some in (("no training query", untrained), ("no entry in the index", unsearched)):
        if some:
            log.warning(f"labels with {what}: {', '.join(some)}")
    sizes = dict(rows.group_by("split").len().iter_rows())
    return {
        "read": dict(sorted(counted.items())),
        **({"spelt": {"labelled": told}} if (told := wanted.told()) else {}),
        "left_out": {reason: count for reason, count in sorted(left_out.items()) if count},
        "noted": {},
        "texts": {lang: dict(sorted(own.items())) for lang, own in sorted(counts.items())},
        "duplicates": {},
        "passages": {base.language: {name: output.splits[base.language, name] for name in SPLITS}},
        "characters": {base.language: spread(output.lengths[base.language])},
        "queries": dict(sorted(output.queries.items())),
        "shares": {},
        "labels": {
            "labels": len(names),
            **{name: sizes.get(name, 0) for name in ("index", *SPLITS)},
            "synthetic": rows.filter(role="synthetic").height,
            **(
                {"out_of_scope": dict(outside.group_by("split").len().sort("split").iter_rows())}
                if len(outside)
                else {}
            ),
            "untrained": untrained,
            "unsearched": unsearched,
        },
    }


def nothing(draft: Path) -> None:
    """Write the tables of labels for a collection that has none."""
    write(draft, pl.DataFrame(schema=LABELLED), pl.DataFrame(schema=LABELS), None)


def write(draft: Path, members: pl.DataFrame, labels: pl.DataFrame, similarity: pl.DataFrame | None) -> None:
    tables.write(members, draft / "labelled.parquet", LABELLED)
    tables.write(labels, draft / "labels.parquet", LABELS)
    if similarity is None:
        similarity = pl.DataFrame(schema=SIMILARITY)
    tables.write(similarity, draft / "similarity.parquet", SIMILARITY)


def read(
    settings: Corpus, base: Labelled, wanted: Wanted, left_out: Counter[str]
) -> tuple[dict[str, str], pl.DataFrame]:
    """The labels' descriptions, and all texts (LABELLED_TEXTS), a row for each language of a row of the source."""
    descriptions: dict[str, str] = {}
    found: list[tuple[str, ...]] = []
    places: dict[str, str] = {}
    named: set[str] = set()
    for name, table in sorted(base.tables.items(), key=lambda item: (*ORDER, "labels").index(item[1].role)):
        columns, rows = _rows(settings, base, table, wanted)
        if table.role != "labels" and "{lang}" in (table.columns.text or ""):
            named |= columns.keys()
        begun = len(found)
        for row in rows:
            if table.role == "labels":
                if descriptions.setdefault(row.label, row.description) != row.description:
                    raise UserError(f"{row.place} describes the label {row.label!r} anew: leave one description")
                continue
            if row.id in places:
                raise UserError(f"{row.place} repeats the id {row.id!r} of {places[row.id]}: ids must differ")
            places[row.id] = row.place
            left_out["without text in any language"] += not row.texts
            found += [(row.place, name, table.role, row.id, row.label, lang, text) for lang, text in row.texts.items()]
        if table.role != "labels" and len(found) == begun:
            names = ", ".join(map(repr, columns.values()))
            raise UserError(
                f"corpus.labelled.tables.{name} has no row with a text in {names}: check its file, rows and columns"
            )
        if table.role == "labels" and not any(descriptions.values()):
            raise UserError(
                f"corpus.labelled.tables.{name} has no row with a description: check its file, rows and columns"
            )
    texts = pl.DataFrame(found, LABELLED_TEXTS, orient="row")
    if missing := sorted(named - {*texts["lang"]}):
        raise UserError(
            f"corpus.labelled.tables: none has a text in {missing[0]}: set corpus.codes to what their columns call it, "
            "or corpus.languages to the languages that are there"
        )
    return descriptions, texts


def _rows(
    settings: Corpus, base: Labelled, table: LabelledTable, wanted: Wanted
) -> tuple[dict[str, str], Iterator[labelled_rows.LabelledRow]]:
    """The column of the text in each language, and the rows."""
    if table.dataset:
        name = f"{tabular.set_name(table.dataset, settings.path)}/{table.dataset.split}"
        found: Iterator[tuple[str, dict[str, Any]]] = tabular.hub_rows(table.dataset, settings.path)
    else:
        path = Path(settings.path) / (table.file or "")
        if not path.is_file():
            raise UserError(f"{path} is no file: check corpus.path, and the file of each of corpus.labelled.tables")
        name, found = table.file or path.name, records.rows(path)
    head = list(islice(found, tabular.HEAD))
    columns = _columns(table, base, wanted, head)
    return columns, labelled_rows.parse(chain(head, found), name, table.rows, table.columns, columns)


def _columns(
    table: LabelledTable, base: Labelled, wanted: Wanted, head: list[tuple[str, dict[str, Any]]]
) -> dict[str, str]:
    """The column of the text in each language: of those that the first rows have, however spelt."""
    template = table.columns.text or ""
    if "{lang}" not in template:
        return {table.language or base.language: template} if template else {}
    names = list(dict.fromkeys(name for _, row in head for name in row))
    spelled = codes.columns(template, names, wanted, head[0][0] if head else "")
    # A row that comes later may have what the first ones lack.
    return {lang: template.replace("{lang}", wanted.given.get(lang, lang)) for lang in wanted.languages} | spelled


def cleaned(
    texts: pl.DataFrame, languages: list[str], settings: Corpus, left_out: Counter[str]
) -> tuple[pl.DataFrame, dict[str, Counter[str]]]:
    """`texts` in the corpus's normal form, those that are of use; and for each language how many there were, and what
    spoke against some."""
    parts = [pl.DataFrame(schema=LABELLED_TEXTS | {"reason": pl.String, "row": pl.UInt32})]
    alone = settings.model_copy(update={"keep_untranslated": True})  # of texts in one language
    for (lang,), part in texts.with_row_index("row").group_by("lang", maintain_order=True):
        rows = part.with_columns(stratum=pl.lit(""), title=pl.lit(""))
        rows = clean(rows.rename({"text": f"text_{lang}", "title": f"title_{lang}"}), [str(lang)], alone)
        parts.append(rows.rename({f"text_{lang}": "text"}).select(parts[0].columns))
    rows = pl.concat(parts).sort("row")
    if not settings.keep_untranslated:
        failed = untranslated.rows(rows, "id", languages)
        rows = rows.with_columns(reason=pl.coalesce("reason", pl.when(failed).then(pl.lit(NO_TRANSLATION))))
    counts: dict[str, Counter[str]] = {
        str(lang): Counter({READ: own.height}) + Counter(own["reason"].drop_nulls().to_list())
        for (lang,), own in rows.group_by("lang", maintain_order=True)
    }
    left_out.update(rows["reason"].drop_nulls().to_list())
    untranslated.warn(settings.path, {k: (own[NO_TRANSLATION], own[READ]) for k, own in counts.items()}, "corpus")
    return rows.filter(pl.col("reason").is_null()).select(*LABELLED_TEXTS), counts


def distinct(texts: pl.DataFrame, duplicates: bool, left_out: Counter[str]) -> pl.DataFrame:
    """`texts` without rows of the source that repeat an earlier one's text in some language, under whichever label."""
    if not duplicates:
        return texts
    keyed = texts.with_columns(plain=sketches.plain(pl.col("text"))).with_row_index()
    first = keyed.with_columns(
        pl.col("id", "label").first().over("lang", "plain").name.prefix("first_"),
        first_role=pl.col("role").first().over("lang", "plain"),
    )
    again = first.filter(pl.col("id") != pl.col("first_id")).unique("id", maintain_order=True)
    held_out = pl.col("first_role").is_in(["dev", "test"]) & ~pl.col("role").is_in(["dev", "test"])
    other = pl.col("label") != pl.col("first_label")
    reason = (
        pl.when(held_out)
        .then(pl.lit("that repeat a query of dev or test"))
        .when(other)
        .then(pl.lit("that repeat a text of another label"))
        .otherwise(pl.lit("that are duplicates"))
    )
    left_out.update(again.select(reason.alias("reason"))["reason"].to_list())
    return texts.join(again, on="id", how="anti", maintain_order="left")


def share(texts: pl.DataFrame, base: Labelled, settings: Corpus, seed: int) -> pl.DataFrame:
    """Columns id, label, role and split (index, train, dev or test), a row for each row of the source.

    Of a label's n entries round(n x index) are searched, one at least, and one at least is not if there are two. A
    single entry is searched.
    """
    rows = texts.group_by("id", maintain_order=True).agg(
        pl.col("role", "label").first(), searchable=(pl.col("lang") == base.language).any()
    )
    order = pl.Series(seeds.numbers(f"{seed}/index", rows["id"].to_list()))
    rows = rows.with_columns(order=order).sort("label", "order")
    entry = (pl.col("role") == "entries") & pl.col("searchable")
    size = entry.sum().over("label")
    index = (size * base.index).round().clip(1, pl.max_horizontal(size - 1, 1))
    place = pl.int_range(pl.len()).over("label", entry)
    rows = rows.with_columns(split=pl.when(entry & (place < index)).then(pl.lit("index")).otherwise(pl.col("role")))
    drawn = rows.filter(pl.col("split").is_in(["entries", "synthetic"]))
    # Each kind gives dev and test its share.
    parts = [rows.join(drawn, on="id", how="anti")]
    for _, some in drawn.group_by("role", maintain_order=True):
        strata = some["label"].rle_id().to_numpy()
        splits = split.draw(strata, some["order"].to_numpy(), np.ones(len(some), np.int64), settings.split)
        parts.append(some.with_columns(split.named(splits).alias("split")))
    return pl.concat(parts).select("id", "label", "role", "split").sort("id")


def given(path: Path, labels: list[str]) -> pl.DataFrame:
    """The similarity of labels that a user gives (SIMILARITY): a CSV or TSV file whose first line has the labels,
    and each other line a label and its similarity to them."""
    if not path.is_file():
        raise UserError(f"{path} is no file: corpus.labelled.similarity names a file beneath corpus.path")
    lines = separated.fields(path, tabs=path.suffix == ".tsv")
    _, header = next(lines, ("", []))
    while header and not header[-1]:
        header.pop()  # a spreadsheet's empty columns
    columns: dict[str, int] = {}
    for at, name in enumerate(header):
        if at and name.strip() and columns.setdefault(name.strip(), at) != at:
            raise UserError(f"{path}:1 has the label {name.strip()!r} twice: remove one of its columns")
    if missing := [name for name in labels if name not in columns]:
        raise UserError(f"{path}:1 lacks the label {missing[0]!r}: add its column")
    values: dict[str, list[float]] = {}
    for place, fields in lines:
        try:
            if len(fields) < len(header) or any(fields[len(header) :]):
                raise ValueError(f"{len(fields)} fields")
            numbers = [float(fields[columns[name]]) for name in labels]
        except ValueError:
            raise UserError(f"{place} is no row of similarities: write a label and {len(header) - 1} numbers") from None
        if not np.isfinite(numbers).all() or min(numbers) < 0:
            raise UserError(f"{place} has a similarity below 0, or none: write numbers of 0 and more")
        if fields[0].strip() in values:
            raise UserError(f"{place} has the label {fields[0].strip()!r} again: remove one of its rows")
        values[fields[0].strip()] = numbers
    if missing := [name for name in labels if name not in values]:
        raise UserError(f"{path} lacks the label {missing[0]!r}: add its row")
    rows = [("given", name, values[name]) for name in labels]
    return pl.DataFrame(rows, SIMILARITY, orient="row")
