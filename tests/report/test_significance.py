"""Tests of differences in words."""

from pathlib import Path

from tests.report.conftest import cells, page


def test_significance_is_in_words(study):
    _, reader = page()
    assert [c[0] for c in cells(reader, "significance-test", "avg")] == [
        *("avg", "+11.0", "+10.0 to +12.0", "< 0.001", "▲ better", "< 0.001", "+1.10"),
        *("+3.0", "+2.0 to +4.0", "0.500", "no", "0.500", "+0.30"),
    ]
    base = [c[0] for c in cells(reader, "significance-test", "base")]
    assert base[1:7] == ["–"] * 6 and base[10:] == ["▼ worse", "< 0.001", "−0.80"]
    groups = [row[0][0] for row in reader.tables["significance-test"] if len(row) == 1]
    assert groups == ["Mono 300 queries; one point would need 1,234", "Bias 300 queries"]
    assert "1,234 queries (Mono)." in Path("metrics/report/tables.md").read_text()


def test_less_language_bias_is_better_and_in_ranks(study):
    _, reader = page()
    rows = reader.tables["significance-test"]
    start = next(i for i, row in enumerate(rows) if row[0][0] == "Bias 300 queries")
    shown = {row[0][0]: [cell[0] for cell in row[1:]] for row in rows[start + 1 :]}
    assert shown["avg"] == [
        *("−35.0", "−36.0 to −34.0", "0.010", "▲ better", "0.001", "–"),
        *("+5.0", "+4.0 to +6.0", "0.010", "▼ worse", "0.001", "–"),
    ]
    tables = Path("metrics/report/tables.md").read_text()
    assert "| Bias | avg | base | −35.0 | −36.0 to −34.0 | 0.010 | better | 0.001 | – |" in tables
    # The base and the best recipe are compared once, in either group: of 16 rows, 14 are distinct.
    assert "method over 14 distinct comparisons" in tables


def test_the_chosen_model_is_shown_with_its_bias(study):
    text, reader = page()
    assert [cell[0] for cell in next(row for row in reader.tables["headline"] if row[0][0] == "Bias")] == [
        *("Bias", "test", "50.0", "15.0", "−35.0 (−36.0 to −34.0)", "+5.0 (+4.0 to +6.0)"),
    ]
    assert "15.0 ranks of language bias (−35.0" in " ".join(text.split())
    assert "significantly worse than <code>both</code> in Bias" in " ".join(text.split())
