"""index: encode the entries of a labelled knowledge base with one model, for `python -m tools.answer` to search.

When entries are added, changed or removed, only texts that this model has not encoded before are encoded (see
`vectors.texts`); the index is the same bytes as one built anew. Nothing is trained.
"""

import logging
from pathlib import Path

import polars as pl

from stages.index import store
from stages.settings.indexes import Index, read_index
from stages.settings.windows import read_windows
from stages.shared import encoder, errors, files, labelled_rows, member, models
from stages.shared.errors import UserError
from stages.shared.vectors.texts import TOKENS, KeptTexts
from stages.shared.windows import WindowedEncoder

log = logging.getLogger("index")


def main() -> None:
    name = member.name("index")
    settings = read_index(name)
    model = Path(settings.model)
    if not (model / "modules.json").is_file():
        raise UserError(f"indexes.{name}.model: {model} holds no model: name the folder of one, e.g. models/base")
    found = entries(settings)
    digest = files.content(model)
    kept = KeptTexts(encoder.load(model, TOKENS), [digest])
    reading = WindowedEncoder(kept, read_windows(), str(model))
    made = reading.documents(found.with_columns(title=pl.lit("")), distinct=True)
    reading.record()
    store.save(models.INDEXES / name, found, made, str(model), digest, settings.path)
    log.info(f"{name}: {found.height:,} entries with {found['label'].n_unique():,} labels, for {model}")


def entries(settings: Index) -> pl.DataFrame:
    """The entries to index (store.INDEX_ENTRIES), sorted by id; raises `UserError` if an id is repeated.

    Of entries with the same text and label the first by id is kept: the others would only fill the list of nearest
    entries. The same text under two labels stays, since which is meant is for the knowledge base to say.
    """
    rows: list[tuple[str, str, str]] = []
    places: dict[str, str] = {}
    empty: list[str] = []
    for row in labelled_rows.read(
        settings.path, settings.rows, settings.columns, {"text": settings.columns.text or ""}
    ):
        text = row.texts.get("text", "")
        if row.id in places:
            raise UserError(
                f"{row.place}: the id {row.id!r} is that of {places[row.id]} already: give each entry its own, or set "
                "columns.id to null"
            )
        places[row.id] = row.place
        if text:
            rows.append((row.id, row.label, text))
        else:
            empty.append(row.place)
    if empty:
        log.warning(f"{len(empty):,} rows have no text and are left out, the first is {empty[0]}")
    if not rows:
        raise UserError(f"{settings.path} has no entries: check rows and columns.text of the index in params.yaml")
    found = pl.DataFrame(rows, schema=store.INDEX_ENTRIES, orient="row").sort("entry")
    distinct = found.unique(["label", "text"], keep="first", maintain_order=True)
    if distinct.height < found.height:
        log.info(f"{found.height - distinct.height:,} entries repeat another's text and label and are left out")
    labels = distinct.group_by("text", maintain_order=True).agg("label").filter(pl.col("label").list.len() > 1)
    if labels.height:
        text, several = labels.row(0)
        log.warning(
            f"{labels.height:,} texts have several labels, of which the last entry's is answered, e.g. "
            f"{text!r}: {', '.join(several)}"
        )
    return distinct


if __name__ == "__main__":
    errors.run(main)
