"""Checked, atomic tables."""

import json
import subprocess
import sys

import polars as pl
import pytest

from stages.schemas.texts import QUERIES
from stages.shared import tables
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.fakes.damage import damage

ROWS = pl.DataFrame([("q1", "en", "who"), ("q1", "ko", "누가")], schema=QUERIES, orient="row")


def test_what_was_written_is_read(tmp_path):
    tables.write(ROWS, tmp_path / "new" / "q.parquet", QUERIES)
    assert tables.read(tmp_path / "new" / "q.parquet", QUERIES).equals(ROWS)


@pytest.mark.parametrize(
    "table",
    [
        ROWS.drop("text"),
        ROWS.with_columns(more=1),
        ROWS.with_columns(text=pl.lit(1)),
        ROWS.rename({"text": "words"}),
    ],
)
def test_another_schema_is_refused_on_both_ways(tmp_path, table):
    with pytest.raises(UserError, match="are wanted"):
        tables.write(table, tmp_path / "q.parquet", QUERIES)
    assert not list(tmp_path.iterdir())
    table.write_parquet(tmp_path / "q.parquet")
    with pytest.raises(UserError, match="are wanted"):
        tables.read(tmp_path / "q.parquet", QUERIES)


def test_nulls_are_refused_by_column(tmp_path):
    with_hole = ROWS.with_columns(text=pl.Series([None, "x"]))
    with pytest.raises(UserError, match="column 'text'"):
        tables.write(with_hole, tmp_path / "q.parquet", QUERIES)
    with_hole.write_parquet(tmp_path / "q.parquet")
    with pytest.raises(UserError, match="column 'text'"):
        tables.read(tmp_path / "q.parquet", QUERIES)


def test_a_missing_table_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match="is missing: run `dvc repro`"):
        tables.read(tmp_path / "q.parquet", QUERIES)


@pytest.mark.parametrize("kind", ["cut", "bits", "empty"])
def test_a_damaged_table_is_told_in_a_sentence(tmp_path, kind):
    tables.write(ROWS, tmp_path / "q.parquet", QUERIES)
    damage(tmp_path / "q.parquet", kind)
    with pytest.raises(UserError, match=r"^\S+q\.parquet is damaged or cut off \(.+\): run `dvc repro`"):
        tables.read(tmp_path / "q.parquet", QUERIES)


@pytest.mark.parametrize("text", ["", '{"a": ', "[" * 100_000, '"\xff"'])
def test_damaged_json_is_told_in_a_sentence(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"^\S+x\.json is damaged or cut off \(.+\): run `dvc repro`"):
        tables.read_json(tmp_path / "x.json")
    with pytest.raises(UserError, match=r"y\.json is missing: run `dvc repro`"):
        tables.read_json(tmp_path / "y.json")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    file = tmp_path / "q.parquet"
    tables.write(ROWS, file, QUERIES)
    before = file.read_bytes()
    with pytest.raises(RuntimeError), tables.replacing(file) as draft:
        draft.write_bytes(b"half")
        raise RuntimeError
    assert file.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["q.parquet"]


def test_a_failed_folder_leaves_the_old_folder_alone(tmp_path):
    folder = tmp_path / "out"
    with tables.replacing(folder) as draft:
        tables.write(ROWS, draft / "a.parquet", QUERIES)
        tables.write(ROWS, draft / "b.parquet", QUERIES)
    with pytest.raises(UserError), tables.replacing(folder) as draft:
        tables.write(ROWS, draft / "a.parquet", QUERIES)
        tables.write(ROWS.drop("lang"), draft / "b.parquet", QUERIES)
    assert [f.name for f in tmp_path.iterdir()] == ["out"]
    assert sorted(f.name for f in folder.iterdir()) == ["a.parquet", "b.parquet"]


def test_a_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "out"
    for name in ("old", "new"):
        with tables.replacing(folder) as draft:
            tables.write(ROWS, draft / f"{name}.parquet", QUERIES)
    assert [f.name for f in folder.iterdir()] == ["new.parquet"]


def test_equal_content_is_equal_bytes_in_any_process(tmp_path):
    tables.write(ROWS, tmp_path / "here.parquet", QUERIES)
    code = (
        "import sys; from stages.schemas.texts import QUERIES; from stages.shared import tables; "
        "tables.write(tables.read(sys.argv[1], QUERIES), sys.argv[2], QUERIES)"
    )
    files = [str(tmp_path / name) for name in ("here.parquet", "there.parquet")]
    subprocess.run([sys.executable, "-c", code, *files], cwd=ROOT, check=True)
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()


def test_json_has_a_line_for_each_innermost_mapping(tmp_path):
    value = {"a": {"b": {"c": 1.5, "d": 2}, "e": 3}, "f": {"g": "한"}, "h": [1, None]}
    tables.write_json(value, tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert text == (
        '{\n  "a": {\n    "b": {"c": 1.5, "d": 2},\n    "e": 3\n  },\n  "f": {"g": "한"},\n  "h": [1, null]\n}\n'
    )


def test_json_refuses_what_is_no_number(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        tables.write_json({"a": float("nan")}, tmp_path / "x.json")
    assert not list(tmp_path.iterdir())
