"""Parquet files as others write them."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.shared import files, parquet
from stages.shared.errors import UserError


def test_rows_have_their_numbers(tmp_path):
    pl.DataFrame({"a": [1, 2], "b": [["x"], None]}).write_parquet(tmp_path / "x.parquet")
    at = tmp_path / "x.parquet"
    assert list(parquet.rows(at)) == [(f"{at}:1", {"a": 1, "b": ["x"]}), (f"{at}:2", {"a": 2, "b": None})]


@pytest.mark.parametrize(
    ("table", "named"),
    [
        (pa.table([pa.array(["a"]), pa.array(["b"])], names=["en", "en"]), "en"),
        (
            pa.table({"t": pa.StructArray.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["en", "en"])}),
            "t.en",
        ),
    ],
)
def test_a_column_twice_is_refused(tmp_path, table, named):
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UserError, match=rf"x\.parquet has the column '{named}' more than once: rename or remove one$"):
        list(parquet.rows(tmp_path / "x.parquet"))


def test_rows_that_unpack_to_more_than_is_read_as_one_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20)
    pl.DataFrame({"a": ["\0" * 5_000_000]}).write_parquet(tmp_path / "x.parquet", compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < 20_000
    with pytest.raises(UserError, match=r"x\.parquet has rows longer than 1 MiB, the most that a row may be: split it"):
        list(parquet.rows(tmp_path / "x.parquet"))


@pytest.mark.parametrize("nested", [False, True])
def test_a_long_value_among_many_short_ones_is_refused(tmp_path, monkeypatch, nested):
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20)
    texts = pa.array(["short"] * 40 + ["\0" * 2**20 + "x"])
    table = {"a": pa.StructArray.from_arrays([texts], names=["en"]) if nested else texts}
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet has within rows 1 to 41 a value longer than 1 MiB: split it"):
        list(parquet.rows(tmp_path / "x.parquet"))
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20 + 1)
    assert len(list(parquet.rows(tmp_path / "x.parquet"))) == 41


def test_a_file_that_is_cut_or_absent_is_told(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no more PAR1")
    for name in ("x", "y"):
        with pytest.raises(UserError, match=rf"{name}\.parquet cannot be read \(.*\): is it a whole Parquet file\?"):
            list(parquet.rows(tmp_path / f"{name}.parquet"))
