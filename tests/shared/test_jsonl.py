"""JSON Lines as they come."""

import gzip

import pytest

from stages.shared import jsonl
from stages.shared.errors import UserError


def test_plain_gzipped_bom_and_crlf_read_the_same(tmp_path):
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
        (
            b'{"a": 1}\n{"a": {"b": 1, "c": 2, "b": 1}}\n',
            r"x.jsonl:2 is not JSON \(it has the key 'b' more than once\): mend",
        ),
        (b'{"a": 1}\n[1]\n', r"x.jsonl:2 is no JSON object"),
        (b'{"a": "b"}\n{"a": "\xff"}\n', r"x.jsonl:2 is not utf-8"),
        (b'{"a": 1}\n{"a": ' + b"[" * 200_000, r"x.jsonl:2 is (nested too deeply|not JSON)"),
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


def test_rows_in_another_encoding_have_their_numbers(tmp_path):
    (tmp_path / "x.jsonl").write_bytes('\n{"a": "하나"}'.encode("cp949"))
    assert list(jsonl.numbered(tmp_path / "x.jsonl", "cp949")) == [(2, {"a": "하나"})]


def test_a_line_ends_at_newlines_alone(tmp_path):
    (tmp_path / "x.jsonl").write_bytes('{"a": "one\u2028two\x85"}\n{"a": 1}\n'.encode())
    assert [row for _, row in jsonl.rows(tmp_path / "x.jsonl")] == [{"a": "one\u2028two\x85"}, {"a": 1}]


def test_texts_are_on_one_line_and_stripped():
    row = {"a": "  x\n y\u00a0z ", "n": None, "i": 7, "l": ["x"]}
    assert jsonl.text(row, "a", "f:1") == "x y z"
    assert jsonl.text(row, "n", "f:1") == ""
    assert jsonl.text(row, "i", "f:1") == "7"
    with pytest.raises(UserError, match=r"f:1 has no 'b' \(it has 'a', 'n', 'i', 'l'\)"):
        jsonl.text(row, "b", "f:1")
    with pytest.raises(UserError, match="f:1: 'l' holds"):
        jsonl.text(row, "l", "f:1")
