"""What recipes are made of."""

from tests.report.conftest import edit, page


def test_the_share_of_synthetic_queries(study):
    _, reader = page()
    assert [c[0] for c in reader.tables["recipes"][0]] == ["Recipe", "Compositions", "Negatives"]
    edit(lambda params: params["recipes"]["both"].update(synthetic=0.3))
    _, reader = page()
    rows = [[c[0] for c in row] for row in reader.tables["recipes"]]
    assert rows[0][3] == "Synthetic queries" and [row[3] for row in rows[1:]] == [
        "as they come",
        "as they come",
        "30 %",
    ]
