"""One reader for comma- and tab-separated files."""

import pytest

from stages.shared import files, separated
from stages.shared.errors import UserError


def rows(tmp_path, text, name="x.csv", encoding="utf-8"):
    (tmp_path / name).write_text(text, encoding=encoding, newline="")
    return list(separated.numbered(tmp_path / name, encoding))


@pytest.mark.parametrize(
    "text",
    [
        "id,text\n1,a;b\n",
        "id;text\n1;a;b\n".replace("a;b", '"a;b"'),
        "id|text\r\n1|a;b\r\n",
        'sep=;\nid;text\n1;"a;b"\n',
        '"sep=,"\r\nid,text\r\n1,a;b\r\n',
        "sep=\t\nid\ttext\n1\ta;b\n",
        "\ufeffsep=|\nid|text\n1|a;b\n",
    ],
)
def test_the_delimiter_is_what_the_header_has_or_the_first_line_says(tmp_path, text):
    [(line, row)] = rows(tmp_path, text)
    assert row == {"id": "1", "text": "a;b"}
    assert line == text.count("\n")


def test_lines_are_those_that_rows_begin_at_and_empty_ones_are_skipped(tmp_path):
    found = rows(tmp_path, 'id,text\n\n1,"a\n\nb"\n,\n2,c\n')
    assert found == [(3, {"id": "1", "text": "a\n\nb"}), (7, {"id": "2", "text": "c"})]
    assert rows(tmp_path, "") == rows(tmp_path, "id,text\n") == []


def test_tabs_part_texts_with_quotation_marks(tmp_path):
    found = rows(tmp_path, '"id"\ttext\n1\t"never closed\n2\t"a ""b"""\n3\t"d" e "f"\n', "x.tsv")
    assert [row["text"] for _, row in found] == ['"never closed', 'a "b"', '"d" e "f"']
    assert set(found[0][1]) == {"id", "text"}
    # Of files without a header the fields are as they stand.
    assert [row for _, row in separated.fields(tmp_path / "x.tsv")][2] == ["2", '"a ""b"""']


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "x.csv",
            "id,text,label\n1,a,b\n2,I want it, please,c\n",
            r"x\.csv:3 has 4 fields, but the header 3: mend the row's",
        ),
        ("x.csv", "id,text\n1\n", r"x\.csv:2 has 1 fields, but the header 2"),
        ("x.tsv", "id\ttext\n1\ta\tb\n", r"x\.tsv:2 has 3 fields, but the header 2"),
        ("x.csv", 'id,text\n1,"a\n2,b\n3,c\n', r"x\.csv:2 is no row of CSV \(unexpected end of data\): mend its quot"),
        ("x.csv", 'id,text\n1,"a" b\n', r"x\.csv:2 is no row of CSV \("),
        ("x.csv", "sep=;\nid;text\n1\n", r"x\.csv:3 has 1 fields, but the header 2"),
        ("x.csv", "id,id\n1,a\n", r"x\.csv:1 has the column 'id' more than once: rename or remove one"),
        ("x.tsv", "id\ttext\n1\ta\rb\tc\n", r"x\.tsv:2 is no row of CSV \(new-line"),
    ],
)
def test_a_row_that_is_torn_is_told(tmp_path, name, text, message):
    with pytest.raises(UserError, match=message):
        rows(tmp_path, text, name)


def test_a_quotation_mark_that_nothing_closes_fills_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20)
    with pytest.raises(
        UserError, match=r"x\.csv:2 has a field longer than 1 MiB: mend its quotation marks, or split it"
    ):
        rows(tmp_path, 'id,text\n1,"a' + "b\n" * 600_000)
    assert len(rows(tmp_path, f"id,text\n1,{'a' * 2**19}\n")[0][1]["text"]) == 2**19
