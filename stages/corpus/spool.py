"""Cleaned rows wait on disk until the last has been read; what is compared of them stays in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from stages.corpus.near import Near
from stages.shared import seeds, sketches
from stages.shared.errors import UserError

# A shard ends after so many rows, or sooner after so many bytes, whatever the batches that rows come in.
ROWS_SPOOLED = 8192
BYTES = 16_000_000


class Spool:
    """Rows in the order in which they are added, in shards in `folder`.

    A row has the columns place (file:line), part, id, stratum, title_<lang> and text_<lang>; the number of a text is
    row * languages + language. After `close` there are `firsts`, for each text the number of the first whose `plain` is
    the same: uint32, [rows, languages]; and `strata` and `parts`, numbers of what `stratum_names` and `part_names`
    list: int32, [rows].
    """

    def __init__(self, folder: Path, languages: list[str], near: Near | None) -> None:
        folder.mkdir(parents=True)
        self.folder, self.languages, self.near = folder, languages, near
        self._texts = [f"text_{lang}" for lang in languages]
        self.rows = 0
        self._starts = [0]  # the first row of each shard, and of the one to come
        self._waiting: list[pl.DataFrame] = []
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in ("ids", "texts", "strata", "parts")}
        self._names: dict[str, dict[str, int]] = {"strata": {}, "parts": {}}

    def add(self, rows: pl.DataFrame) -> None:
        self._waiting.append(rows)
        self.rows += rows.height
        self._write(last=False)

    def close(self) -> None:
        """Write what is left; raises `UserError` if two rows have one id."""
        self._write(last=True)
        self._check_ids(sketches.firsts(self._column("ids", np.uint64)))
        self.firsts = sketches.firsts(self._column("texts", np.uint64)).reshape(self.rows, len(self.languages))
        self.strata, self.parts = self._column("strata", np.int32), self._column("parts", np.int32)
        self.stratum_names, self.part_names = (list(self._names[kind]) for kind in ("strata", "parts"))

    def pieces(self, rows: np.ndarray, *columns: str) -> Iterator[pl.DataFrame]:
        """The rows of the numbers `rows`, ascending, shard by shard, with all columns or some, and with `row`."""
        for shard, here in self._by_shard(rows):
            table = pl.read_parquet(self._file(shard), columns=list(columns) or None, glob=False)
            numbers = pl.Series(rows[here], dtype=pl.UInt32)
            yield table[rows[here] - self._starts[shard]].with_columns(row=numbers)

    def take(self, rows: np.ndarray, *columns: str) -> pl.DataFrame:
        """All that `pieces` gives."""
        fields = dict.fromkeys(columns, pl.String) | {"row": pl.UInt32}
        return pl.concat([pl.DataFrame(schema=fields), *self.pieces(rows, *columns)])

    def find(self, ids: pl.Series) -> pl.DataFrame:
        """The rows that have one of `ids`, as `row` and `id`."""
        wanted = pl.DataFrame({"id": ids.unique()})
        found = [piece.join(wanted, on="id", how="semi") for piece in self.pieces(np.arange(self.rows), "id")]
        return pl.concat([pl.DataFrame(schema={"id": pl.String, "row": pl.UInt32}), *found])

    def orders(self, rows: np.ndarray, seed: int, purpose: str) -> np.ndarray:
        """A number of each of `rows`, ascending, that depends on its id, `seed` and `purpose`: uint64, shape [rows]."""
        names = (name for piece in self.pieces(rows, "id") for name in piece["id"])
        return np.fromiter((seeds.number(seed, purpose, name) for name in names), np.uint64, len(rows))

    def plain(self, texts: np.ndarray) -> Iterator[pl.Series]:
        """The `plain` texts of the numbers `texts`, ascending, a shard's at a time."""
        rows = texts // len(self.languages)
        pieces = self.pieces(np.unique(rows), *self._texts)
        for (_, here), piece in zip(self._by_shard(rows), pieces, strict=True):
            columns = pl.concat(piece.select(sketches.plain(pl.col(self._texts))).get_columns())
            row = np.searchsorted(piece["row"], rows[here])
            yield columns[texts[here] % len(self.languages) * piece.height + row]

    def _by_shard(self, rows: np.ndarray) -> Iterator[tuple[int, slice]]:
        """The shards that some of `rows`, ascending, are in, and where among `rows` those are."""
        bounds = np.searchsorted(rows, self._starts)
        for shard in np.flatnonzero(np.diff(bounds)).tolist():
            yield shard, slice(bounds[shard], bounds[shard + 1])

    def _check_ids(self, first: np.ndarray) -> None:
        """Raise `UserError` if a row has the id of another; `first` says where the hash of its id was first."""
        again = np.flatnonzero(first != np.arange(self.rows))[:ROWS_SPOOLED]
        places = self.take(np.unique(np.concatenate([again, first[again]])), "place", "id")
        named = {row: (place, name) for place, name, row in places.iter_rows()}
        for row, earlier in zip(again.tolist(), first[again].tolist(), strict=True):
            (place, name), (before, other) = named[row], named[earlier]
            if name == other:  # not just their hashes
                raise UserError(f"{place} repeats the id {name!r} of {before}: ids must differ")

    def _write(self, last: bool) -> None:
        """Write the shards that are full; the `last` may not be."""
        waiting = pl.concat(self._waiting) if self._waiting else pl.DataFrame()
        sizes = np.zeros(0)
        if waiting.height:
            sizes = (
                waiting.select(pl.sum_horizontal(pl.col(pl.String).str.len_bytes())).to_series().cum_sum().to_numpy()
            )
        begin = 0
        while begin < waiting.height:
            before = sizes[begin - 1] if begin else 0
            end = min(begin + ROWS_SPOOLED, int(np.searchsorted(sizes, before + BYTES)) + 1)
            if end > waiting.height and not last:
                break
            self._write_shard(waiting[begin:end])
            begin = min(end, waiting.height)
        self._waiting = [waiting[begin:]] if begin < waiting.height else []

    def _write_shard(self, shard: pl.DataFrame) -> None:
        shard.write_parquet(self._file(len(self._starts) - 1), compression="lz4", statistics=False)
        plain = shard.select(sketches.plain(pl.col(self._texts)))
        self._columns["ids"].append(shard["id"].hash().to_numpy())
        self._columns["texts"].append(np.stack([text.hash().to_numpy() for text in plain], axis=1).ravel())
        self._columns["strata"].append(self._numbers("strata", shard["stratum"]))
        self._columns["parts"].append(self._numbers("parts", shard["part"]))
        if self.near:
            self.near.add(plain)
        self._starts.append(self._starts[-1] + shard.height)

    def _numbers(self, kind: str, values: pl.Series) -> np.ndarray:
        names = self._names[kind]
        for name in values.unique(maintain_order=True):
            names.setdefault(name, len(names))
        return values.replace_strict(names, return_dtype=pl.Int32).to_numpy()

    def _column(self, name: str, kind: type) -> np.ndarray:
        return np.concatenate([np.zeros(0, kind), *self._columns.pop(name)])

    def _file(self, shard: int) -> Path:
        return self.folder / f"{shard}.parquet"
