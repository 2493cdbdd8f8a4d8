"""JSON Lines as they come."""

import gzip

import pytest

from stages.shared import jsonl
from stages.shared.errors import UserError


def test_plain_gzipped_bom_and_crlf_read_alike(tmp_path):
    lines = '{"a": "하나"}\r\n\r\n{"a": "둘"}'
    (tmp_path / "plain.jsonl").write_bytes(lines.replace("\r", "").encode())
    (tmp_path / "crlf.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("plain.jsonl", "crlf.jsonl", "packed.jsonl.gz"):
        file = tmp_path / name
        assert list(jsonl.rows(file)) == [(f"{file}:1", {"a": "하나"}), (f"{file}:3", {"a": "둘"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', r"x.jsonl:2 is not JSON"),
        (b'{"a": 1}\n[1]\n', r"x.jsonl:2 is no JSON object"),
        (b'{"a": "\xff"}\n', r"x.jsonl is not UTF-8"),
    ],
)
def test_a_bad_row_is_named(tmp_path, content, message):
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(jsonl.rows(tmp_path / "x.jsonl"))


def test_a_file_that_is_missing_or_cut_off(tmp_path):
    with pytest.raises(UserError, match="is not there"):
        list(jsonl.rows(tmp_path / "x.jsonl"))
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:-12])
    with pytest.raises(UserError, match="is it whole"):
        list(jsonl.rows(tmp_path / "x.jsonl.gz"))
    (tmp_path / "y.jsonl.gz").write_bytes(b'{"a": 1}\n')
    with pytest.raises(UserError, match="is it whole"):
        list(jsonl.rows(tmp_path / "y.jsonl.gz"))


def test_texts_are_on_one_line_and_stripped():
    row = {"a": "  x\n y\u00a0z ", "n": None, "i": 7, "l": ["x"]}
    assert jsonl.text(row, "a", "f:1") == "x y z"
    assert jsonl.text(row, "n", "f:1") == ""
    assert jsonl.text(row, "i", "f:1") == "7"
    with pytest.raises(UserError, match=r"f:1 has no 'b' \(it has 'a', 'n', 'i', 'l'\)"):
        jsonl.text(row, "b", "f:1")
    with pytest.raises(UserError, match="f:1: 'l' holds"):
        jsonl.text(row, "l", "f:1")
