"""JSON Lines as they come."""

import gzip
import json

import pytest

from stages.shared import files, jsonl
from stages.shared.errors import UserError


def test_plain_gzipped_bom_and_crlf_read_the_same(tmp_path):
    lines = '{"a": "하나"}\r\n\r\n{"a": "둘"}'
    (tmp_path / "plain.jsonl").write_bytes(lines.replace("\r", "").encode())
    (tmp_path / "crlf.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("plain.jsonl", "crlf.jsonl", "packed.jsonl.gz"):
        file = tmp_path / name
        assert list(jsonl.rows(file)) == [(f"{file}:1", {"a": "하나"}), (f"{file}:3", {"a": "둘"})]


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_rows_of_the_lines_they_begin_at(tmp_path, indent):
    rows = [{"a": "하나", "b": [1, {"c": "], [{"}]}, {"a": ""}, {"a": "\n".join(map(str, range(50)))}]
    (tmp_path / "x.json").write_text("\ufeff\n" + json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8")
    found = list(jsonl.numbered(tmp_path / "x.json"))
    assert [row for _, row in found] == rows
    assert [number for number, _ in found] == ([2, 2, 2] if indent is None else [3, 12, 15])
    (tmp_path / "x.json").write_text("[ ]")
    assert list(jsonl.numbered(tmp_path / "x.json")) == []


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
        (b'[{"a": 1},\n {"a":\n oops}, {"a": 2}]', r"x.jsonl:3 is not JSON"),
        (b'[{"a": 1},\n\n 7]', r"x.jsonl:3 is no JSON object: write each row of the array"),
        (b'[{"a": 1},\n {"a": 1,\n "a": 2}]', r"x.jsonl:2 is not JSON \(it has the key 'a' more than once\)"),
        (b'[{"a": 1}\n', r"x.jsonl:2 does not end as an array does"),
        (b'[{"a": 1}]\n\n{"a": 1}\n', r"x.jsonl:3 does not end as an array does"),
        (
            b'{\n "version": 1,\n "data": [\n  {"a": 1}\n ]\n}\n',
            r"x.jsonl is one JSON document \(with 'version', 'data'\).* under 'data': .*jq -c '.data\[\]'",
        ),
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


def test_a_row_of_an_array_is_no_longer_than_a_line_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20)
    rows = [{"a": ["b" * 1_000] * 500}] * 4
    path = tmp_path / "x.json"
    path.write_text(json.dumps(rows, indent=1))
    assert [row for _, row in jsonl.numbered(path)] == rows
    rows[2] = {"a": ["b" * 1_000] * 3_000}
    path.write_text(json.dumps(rows, indent=1))
    with pytest.raises(UserError, match=r"x\.json:1010 is a row longer than 1 MiB, the most that one may be: split it"):
        list(jsonl.numbered(path))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_of_pairs_by_part_is_rows(tmp_path, indent):
    """As CLINC150 is published, on one line or on many."""
    parts = {"val": [], "train": [["set a timer", "timer"], ["book a flight", "travel"]], "oos_test": [["why", "oos"]]}
    (tmp_path / "x.json").write_text(json.dumps(parts, indent=indent))
    assert list(jsonl.rows(tmp_path / "x.json")) == [
        (f"{tmp_path / 'x.json'}:{number}", {"part": part, "text": text, "label": label})
        for number, (part, text, label) in enumerate(
            [("train", "set a timer", "timer"), ("train", "book a flight", "travel"), ("oos_test", "why", "oos")], 1
        )
    ]
