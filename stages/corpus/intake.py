"""From the source, or the parts of a mixed one, to the spool."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from tqdm import tqdm

from stages.corpus.batches import Notes
from stages.corpus.clean import clean
from stages.corpus.readers.sources import batches
from stages.corpus.spool import Spool
from stages.settings.corpus import Corpus, Source
from stages.shared.codes import Wanted
from stages.shared.errors import UserError


class IntakeCounts(NamedTuple):
    """Rows read of each part, left out for each reason, and changed or doubtful; and what each part calls languages
    whose tags it does not write."""

    read: Counter[str]
    left_out: Counter[str]
    noted: Counter[str]
    spelt: dict[str, dict[str, str]]


def parts(settings: Corpus) -> dict[str, Source]:
    """The sources by name, a mixture's with their whole paths; a source that is no mixture has the name of its kind."""
    if settings.source == "none":
        return {}
    mixed: dict[str, Source] = {
        name: part.model_copy(update={"path": str(Path(settings.path) / part.path)})
        for name, part in settings.parts.items()
    }
    return mixed or {settings.source: settings}


def fill(spool: Spool, settings: Corpus, languages: list[str]) -> IntakeCounts:
    """Spool the rows that are of use, but no more than `corpus.limit` if none are weighed out later; raises `UserError`
    if a part has none."""
    counts = IntakeCounts(Counter(), Counter(), Counter(), {})
    limit = None if any(part.weight for part in settings.parts.values()) else settings.limit
    with tqdm(desc="reading", unit=" rows") as bar:
        for name, source in parts(settings).items():
            if spool.rows == limit:
                break
            begun = spool.rows
            silent = list(languages)
            wanted = Wanted(languages, source.codes)
            for batch in batches(source, wanted, Notes(counts.left_out, counts.noted)):
                rows = clean(batch.rows, languages, settings)
                if limit is not None:
                    rows = _first(rows, limit - spool.rows)
                _count(name, rows, counts)
                silent = [lang for lang in silent if (rows[f"text_{lang}"] == "").all()]
                bar.update(rows.height)
                rows = rows.filter(pl.col("reason").is_null())
                spool.add(_named(rows, batch.file, name, bool(settings.parts), languages))
                if spool.rows == limit:
                    break
            if told := wanted.told():
                counts.spelt[name] = told
            if spool.rows == begun:
                raise UserError(_nothing(source, languages, silent, counts))
    return counts


def _first(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """`rows` up to the last of the first `most` that are of use."""
    used = np.flatnonzero(rows["reason"].is_null().to_numpy())
    return rows[: used[most - 1] + 1] if len(used) >= most else rows


def _count(part: str, rows: pl.DataFrame, counts: IntakeCounts) -> None:
    counts.read[part] += rows.height
    counts.left_out.update(dict(rows["reason"].drop_nulls().value_counts().iter_rows()))
    counts.noted["freed of control characters"] += int(rows["invisible"].sum())
    counts.noted["with unreadable characters (U+FFFD)"] += int(rows["unreadable"].sum())


def _named(rows: pl.DataFrame, file: str, part: str, mixed: bool, languages: list[str]) -> pl.DataFrame:
    """`rows` as `Spool` wants them; those of a mixture's parts have the part in their ids, and for a stratum."""
    stratum = pl.col("stratum")
    return rows.select(
        pl.format("{}:{}", pl.lit(file), "line").alias("place"),
        pl.lit(part).alias("part"),
        pl.format("{}/{}", pl.lit(part), "id").alias("id") if mixed else pl.col("id"),
        pl.when(stratum == "").then(pl.lit(part)).otherwise(stratum).alias("stratum") if mixed else stratum,
        *(f"{kind}_{lang}" for lang in languages for kind in ("title", "text")),
    )


def _nothing(source: Source, languages: list[str], silent: list[str], counts: IntakeCounts) -> str:
    if silent and silent != languages:
        lang = silent[0]
        if source.columns:
            column = source.columns.text.replace("{lang}", source.codes.get(lang, lang))
            lang = f"{lang} (column {column!r})"
        return f"{source.path} has no text in {lang}: remove it from languages, or add what it is called there to codes"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.left_out.items()) if count)
    return (
        f"{source.path} has no passage in all of {', '.join(languages)}"
        f"{f' (left out: {reasons})' if reasons else ''}: check its columns, files and codes, and corpus.chars"
    )
