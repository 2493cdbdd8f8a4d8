"""Tests of differences in words."""

from tests.report.conftest import cells, page


def test_significance_is_in_words(study):
    _, reader = page()
    assert [c[0] for c in cells(reader, "significance-test", "avg")] == [
        *("avg", "+11.0", "+10.0 to +12.0", "< 0.001", "▲ better"),
        *("+3.0", "+2.0 to +4.0", "0.500", "no"),
    ]
    base = [c[0] for c in cells(reader, "significance-test", "base")]
    assert base[1:5] == ["–"] * 4 and base[8] == "▼ worse"
