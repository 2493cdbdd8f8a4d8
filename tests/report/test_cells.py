"""Cells of tables: rounding, signs and best values."""

import pytest

from stages.report import cells as table_cells


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "12.3"),
        (0.0312, True, "+3.1"),
        (-0.02, True, "−2.0"),
        (-0.0004, True, "0.0"),
        (0.0, True, "0.0"),
    ],
)
def test_points(value, signed, text):
    assert table_cells.points(value, signed) == text


def test_columns_bold_all_that_read_like_the_best():
    cells = table_cells.column([0.7231, None, 0.7229, 0.5], heat=True)
    assert [(c.text, c.best) for c in cells] == [("72.3", True), ("–", False), ("72.3", True), ("50.0", False)]
    assert [c.heat for c in cells] == [50, 0, 50, 0]
    assert [c.best for c in table_cells.column([3.0, 1.0], plain=True, low_is_best=True)] == [False, True]
