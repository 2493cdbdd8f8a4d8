"""Sources of a row a passage: JSON Lines, CSV, Parquet, and what Hugging Face's `datasets` reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from stages.corpus.batches import Batch, schema
from stages.corpus.readers import paths
from stages.corpus.readers.rows import CHARS, ROWS, batched
from stages.settings.corpus import HubSet, Source
from stages.shared import codes, files, jsonl, parquet, separated
from stages.shared.codes import Wanted
from stages.shared.errors import UserError, first_line
from stages.shared.parquet import Way

# Rows looked at to know a file's columns: a JSON row may lack those it has no value for.
HEAD = 100


def read_jsonl(source: Source, wanted: Wanted) -> Iterator[Batch]:
    for file in paths.find(source, [".jsonl", ".ndjson"], [".json"]):
        rows = jsonl.numbered(file.path, source.encoding)
        yield from _dicts(source, wanted, str(file.path), file.name, rows)


def read_csv(source: Source, wanted: Wanted) -> Iterator[Batch]:
    for file in paths.find(source, [".csv", ".tsv"]):
        rows = separated.numbered(file.path, source.encoding)
        yield from _dicts(source, wanted, str(file.path), file.name, rows)


def read_parquet(source: Source, wanted: Wanted) -> Iterator[Batch]:
    import pyarrow as pa

    for file in paths.find(source, [".parquet"]):
        with parquet.opened(file.path) as table:
            ways = _chosen(source, wanted, parquet.ways(table.schema_arrow), str(file.path))
            # Rows as large as the average one: a batch has no more characters than CHARS.
            bytes_ = sum(table.metadata.row_group(i).total_byte_size for i in range(table.num_row_groups))
            size = max(1, min(ROWS, CHARS * table.metadata.num_rows // max(1, bytes_)))
            line = 1
            named = sorted({way[0] for way in ways.values()})
            for batch in parquet.batches(file.path, table, size, named):
                yield _batch(str(file.path), file.name, line, pa.Table.from_batches([batch]), ways, wanted.languages)
                line += batch.num_rows


def read_datasets(source: Source, wanted: Wanted) -> Iterator[Batch]:
    name = (source.dataset and source.dataset.name) or source.path
    rows = enumerate((row for _, row in hub_rows(source.dataset, source.path)), 1)
    yield from _dicts(source, wanted, name, set_name(source.dataset, source.path), rows)


def set_name(wanted: HubSet | None, path: str) -> str:
    """What begins the ids of a data set's rows: they, and so the split, do not depend on where a folder is."""
    name = (wanted and wanted.name) or path
    return Path(name).name if Path(name).exists() else name


def hub_rows(wanted: HubSet | None, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a data set of the hub or of the folder `path`, with their places (`name:number`); classes by name."""
    import datasets
    import httpx2
    import pyarrow as pa

    # Else a data set that is streamed becomes a subclass of torch's, whose import costs seconds.
    datasets.config.TORCH_AVAILABLE = False
    name = (wanted and wanted.name) or path
    try:
        rows = datasets.load_dataset(
            name,
            name=wanted and wanted.config,
            split=wanted.split if wanted else "train",
            revision=wanted and wanted.revision,
            streaming=True,
        )
        classes = {key: of for key, of in (rows.features or {}).items() if isinstance(of, datasets.ClassLabel)}
        for number, row in enumerate(rows, 1):
            if _longest(row) > files.LONGEST_LINE:
                raise UserError(f"{name}:{number} has a value longer than {files.bound()}: leave the row out")
            # -1 stands for a class that is not told, as null does.
            told = {
                key: None if row[key] is None or row[key] < 0 else of.int2str(row[key]) for key, of in classes.items()
            }
            yield f"{name}:{number}", row | told
    except (
        ValueError,
        RuntimeError,
        OSError,
        httpx2.HTTPError,
        pa.ArrowException,
        datasets.exceptions.DatasetsError,
    ) as error:
        raise UserError(f"{name} cannot be read: {first_line(error)}: check corpus.dataset and corpus.path") from None


def _dicts(
    source: Source, wanted: Wanted, file: str, name: str, rows: Iterator[tuple[int, dict[str, Any]]]
) -> Iterator[Batch]:
    """Batches of `rows`, each with its number in `file`; `name` begins the ids of rows that have none."""
    head = list(islice(rows, HEAD))
    if not head:
        return
    present = dict.fromkeys(way for _, row in head for way in _row_ways(row))
    ways = _chosen(source, wanted, present, f"{file}:{head[0][0]}")
    cells: list[Way | None] = [ways.get(column) for column in schema(wanted.languages)][1:]

    def tuples() -> Iterator[tuple[Any, ...]]:
        for line, row in chain(head, rows):
            values = [way and _value(row, way, file, line) for way in cells]
            if "id" not in ways:
                values[0] = f"{name}#{line}"
            yield line, *values

    yield from batched(file, tuples(), wanted.languages)


def _longest(value: Any) -> int:
    """Characters of the longest text in a row, or in a struct of it."""
    if isinstance(value, dict):
        return max(map(_longest, value.values()), default=0)
    return len(value) if isinstance(value, str) else 0


def _row_ways(row: dict[str, Any], before: Way = ()) -> Iterator[Way]:
    for key, value in row.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from _row_ways(value, (*before, key))


def _chosen(source: Source, wanted: Wanted, present: Iterable[Way], place: str) -> dict[str, Way]:
    """Where each column of a batch that `source.columns` names is found; raises `UserError` if it is not."""
    columns, languages = source.columns, wanted.languages
    assert columns is not None  # Source has checked it
    if len(languages) > 1 and "{lang}" not in columns.text:
        raise UserError(
            f"corpus.columns.text is {columns.text!r} in each of {', '.join(languages)}: write {{lang}} where the "
            "column's name has the language"
        )
    names = {".".join(way): way for way in present}
    found: dict[str, Way] = {}
    for kind, template in (("id", columns.id), ("stratum", columns.stratum)):
        if template:
            found[kind] = names.get(template) or _missing(template, names, place)
    for kind, template in (("title", columns.title), ("text", columns.text)):
        spelled = codes.columns(template, names, wanted, place) if template else {}
        for lang in languages if template else ():
            if lang not in spelled:
                _missing((template or "").replace("{lang}", wanted.given.get(lang, lang)), names, place)
            found[f"{kind}_{lang}"] = names[spelled[lang]]
    return found


def _missing(name: str, names: Iterable[str], place: str) -> NoReturn:
    has = paths.shortened(map(repr, names), 20)
    raise UserError(f"{place} has no {name!r} (it has {has}): name its column in corpus.columns")


def _value(row: dict[str, Any], way: Way, file: str, line: int) -> str | None:
    value: Any = row
    for key in way:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    shown = repr(value)[:80]
    raise UserError(f"{file}:{line}: {'.'.join(way)!r} holds {shown}, not a text: mend the row")


def _batch(file: str, name: str, line: int, table: Any, ways: dict[str, Way], languages: list[str]) -> Batch:
    """A piece of an Arrow table as a batch whose first row is `line`."""
    frame = pl.DataFrame(pl.from_arrow(table.select(sorted({way[0] for way in ways.values()}))))
    lines = pl.int_range(line, line + frame.height, dtype=pl.UInt64, eager=True)
    columns: dict[str, pl.Series] = {"line": lines}
    for column, way in ways.items():
        values = frame[way[0]]
        for key in way[1:]:
            values = values.struct.field(key)
        texts = (pl.String, pl.Categorical, pl.Enum, pl.Null)
        if values.dtype not in texts and not values.dtype.is_integer():
            raise UserError(f"{file}: {'.'.join(way)!r} holds {values.dtype}, not texts: name another column")
        columns[column] = values.cast(pl.String)
    if "id" not in ways:
        columns["id"] = name + "#" + lines.cast(pl.String)
    absent = {column: pl.lit(None, pl.String) for column in schema(languages) if column not in columns}
    return Batch(file, pl.DataFrame(columns).with_columns(**absent).select(*schema(languages)))
