"""Rows with a label: which are taken, and what each says."""

import pytest

from stages.settings.labelled_columns import LabelledColumns
from stages.shared import labelled_rows
from stages.shared.errors import UserError


def parse(rows, columns, texts=None, wanted=None):
    found = [(f"f:{number}", row) for number, row in enumerate(rows, 1)]
    return list(labelled_rows.parse(found, "f.jsonl", wanted or {}, LabelledColumns(**columns), texts or {"": "text"}))


def test_a_row_says_its_label_texts_and_description():
    row = {"key": 7, "group": "cards", "name": " lost  card", "en": " My\ncard ", "ko": "내 카드", "about": " Gone. "}
    columns = {"id": "key", "label": ["group", "name"], "description": "about"}
    (found,) = parse([row], columns, {"en": "en", "ko": "ko"})
    assert found == ("f:1", "7", "cards/lost card", {"en": "My card", "ko": "내 카드"}, "Gone.")
    (found,) = parse([row], {"label": "name"}, {})
    assert found == ("f:1", "f.jsonl#1", "lost card", {}, "")


def test_texts_that_are_not_there_are_left_out():
    rows = [{"label": "a", "en": "x", "ko": None}, {"label": "a", "en": " "}, {"label": "a"}]
    found = parse(rows, {"label": "label"}, {"en": "en", "ko": "ko"})
    assert [row.texts for row in found] == [{"en": "x"}, {}, {}]


def test_the_number_0_is_a_text():
    [found] = parse([{"label": 0, "text": 0}], {"label": "label"}, {"en": "text"})
    assert (found.label, found.texts) == ("0", {"en": "0"})


def test_rows_are_those_with_the_values_and_numbered_as_they_stand():
    rows = [{"kind": kind, "part": part, "label": kind} for kind in ("a", "b") for part in (1, 2)]
    assert [row.id for row in parse(rows, {"label": "label"}, wanted={"kind": ["b"]})] == ["f.jsonl#3", "f.jsonl#4"]
    both = {"kind": ["a", "b"], "part": ["2"]}
    assert [row.id for row in parse(rows, {"label": "label"}, wanted=both)] == ["f.jsonl#2", "f.jsonl#4"]
    # Rows that are not wanted may be as they like.
    assert parse([{"kind": "c"}, *rows[:1]], {"label": "label"}, wanted={"kind": ["a"]})[0].place == "f:2"
    assert parse(rows, {"label": "label"}, wanted={"none": ["a"]}) == []


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"text": "x"}, {"label": "label"}, r"^f:1 has no 'label' \(it has 'text'\): name its column in params\.yaml$"),
        ({"label": "", "text": "x"}, {"label": "label"}, r"^f:1: the label is empty: name it or remove the row$"),
        ({"a": "x", "b": None}, {"label": ["a", "b"]}, r"^f:1: the label is empty"),
        ({"a": "x"}, {"label": ["a", "b"]}, r"^f:1 has no 'b'"),
        ({"label": {"en": "x"}}, {"label": "label"}, r"^f:1: 'label' holds \{'en': 'x'\}, not a text: mend the row$"),
        ({"label": "x", "text": ["x"]}, {"label": "label"}, r"^f:1: 'text' holds \['x'\], not a text"),
        ({"label": "x"}, {"label": "label", "description": "about"}, r"^f:1 has no 'about'"),
        ({"label": "x"}, {"label": "label", "id": "id"}, r"^f:1 has no 'id'"),
        (
            {"label": "x", "text": "\ud800"},
            {"label": "label"},
            r"^f:1 holds half a character \(a lone surrogate\): mend",
        ),
        ({"label": "x\udfff"}, {"label": "label"}, r"^f:1 holds half a character"),
    ],
)
def test_a_row_that_is_not_so_is_named(row, columns, message):
    with pytest.raises(UserError, match=message):
        parse([row], columns)


def test_a_file_is_read_by_its_name(workspace):
    workspace.jsonl("kb.jsonl", [{"label": "a", "text": "one"}, {"label": "b", "text": "two"}])
    columns = LabelledColumns(label="label")
    found = list(labelled_rows.read("kb.jsonl", {}, columns, {"en": "text"}))
    assert [(row.place, row.id, row.label, row.texts["en"]) for row in found] == [
        ("kb.jsonl:1", "kb.jsonl#1", "a", "one"),
        ("kb.jsonl:2", "kb.jsonl#2", "b", "two"),
    ]
    with pytest.raises(UserError, match=r"^none\.csv is no file: check the path in params\.yaml$"):
        labelled_rows.read("none.csv", {}, columns, {})
