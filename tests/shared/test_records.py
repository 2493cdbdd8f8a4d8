"""Rows of published files."""

import gzip
import json

import polars as pl
import pytest

from stages.shared import records
from stages.shared.errors import UserError


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", '{"a": "1", "b": "\\"two"}\n\n{"a": "3", "b": "4\\u2028"}\n'),
        ("x.jsonl.gz", '{"a": "1", "b": "\\"two"}\n\n{"a": "3", "b": "4\\u2028"}\n'),
        ("x.tsv", '\ufeffa\tb\r\n1\t"two\n\n3\t4\u2028\n'),
        ("x.csv", 'a,b\n1,"""two"\n\n3,4\u2028\n'),
    ],
)
def test_rows_have_their_place(tmp_path, name, content):
    file = tmp_path / name
    data = content.encode()
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    header = 0 if "jsonl" in name else 1
    assert list(records.rows(file)) == [
        (f"{file}:{1 + header}", {"a": "1", "b": '"two'}),
        (f"{file}:{3 + header}", {"a": "3", "b": "4\u2028"}),
    ]


def test_parquet_has_rows_for_lines(tmp_path):
    file = tmp_path / "x.parquet"
    pl.DataFrame({"a": [1, 2], "b": [["x"], None]}).write_parquet(file)
    assert list(records.rows(file)) == [(f"{file}:1", {"a": 1, "b": ["x"]}), (f"{file}:2", {"a": 2, "b": None})]


def test_what_cannot_be_read_is_told(tmp_path):
    file = tmp_path / "x.tsv"
    file.write_bytes(b"a\tb\n" + b"x" * 200_000 + b"\tb\n")
    assert [len(row["a"]) for _, row in records.rows(file)] == [200_000]
    file.write_bytes(b"a\tb\nx\ry\tb\n")
    with pytest.raises(UserError, match=r"x\.tsv:2 is no row of CSV \(new-line"):
        list(records.rows(file))
    with pytest.raises(UserError, match=r"y\.parquet cannot be read"):
        list(records.rows(tmp_path / "y.parquet"))


def test_a_table_of_many_rows(monkeypatch):
    monkeypatch.setattr(records, "ROWS_AT_ONCE", 3)
    schema = {"a": pl.String, "n": pl.Int32}
    rows = [(json.dumps(i), i) for i in range(10)]
    assert records.frame(iter(rows), schema).rows() == rows
    assert records.frame([], schema).schema == schema
