"""Relevance as trec_eval takes it."""

import pytest

from stages.shared import judgements
from stages.shared.errors import UserError


@pytest.mark.parametrize(
    ("written", "number"),
    [(1, 1), (2.0, 2), ("3", 3), (" 4 ", 4), ("2.00", 2), ("+1", 1), ("-2", -2), (-1.0, -1), (0, 0)],
)
def test_whole_numbers_are_read_however_they_are_written(written, number):
    assert judgements.relevance(written, "f:1") == number


@pytest.mark.parametrize(
    "written", [0.8, None, True, float("nan"), float("inf"), "", "1,5", "1e3", "1_0", "٣", "²", [1], 10**12, "9" * 5000]
)
def test_anything_else_is_refused(written):
    with pytest.raises(UserError, match=r"^f:1 is no judgement: its relevance is .{2,42}, and trec_eval takes whole"):
        judgements.relevance(written, "f:1")


def test_a_first_line_without_its_relevance_is_no_header():
    assert judgements.is_header(["query-id", "corpus-id", "score"]) and judgements.is_header(["질의", "문서", "점수"])
    for last in ("0.8", "1,5", "null", "NaN", "", "True"):
        assert not judgements.is_header(["q", "p", last])
