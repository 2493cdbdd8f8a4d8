"""What recipes are made of."""

from tests.report.conftest import edit, page, write


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


def test_schemes_of_batches_and_what_stands_for_many_compositions(study):
    scheme = {"scheme": "hybrid", "draw": 0.5}
    edit(lambda params: params["recipes"]["both"].update(compositions=["mono", "*-ko-ko", "koenen"], batches=scheme))
    _, reader = page()
    rows = [[c[0] for c in row] for row in reader.tables["recipes"]]
    assert [row[3] for row in rows] == ["Batches", *["of all rows"] * 2, "hybrid, alpha 0.5, languages by size ^ 0.5"]
    assert rows[3][1] == "mono, *-ko-ko, koenen"


def test_what_a_merge_is_computed_from(study):
    _, reader = page()
    assert all(";" not in row[2][0] for row in reader.tables["merges"][1:])
    weighted = {
        "method": "ties",
        "weights": {"both": 1.0, "mono": 0.5},
        "parameters": {"density": 0.5, "rescale": True},
    }
    plain = {"method": "slerp", "models": ["both", "mono"], "parameters": {"t": 0.3}}
    for merge, told in ((weighted, "1 both + 0.5 mono; density 0.5, rescale true"), (plain, "both, mono; t 0.3")):
        edit(lambda params, merge=merge: params["merges"].update({next(iter(params["merges"])): merge}))
        _, reader = page()
        assert [c[0] for c in reader.tables["merges"][1]][1:] == [merge["method"], told]
    search = {"models": ["both", "mono"], "objective": {"mono": 1.0}, "budget": 9}
    write("metrics/searches.json", {"avg": {"weights": {"both": 0.3, "mono": 0.7}}})
    edit(lambda params: params["merges"].update(avg={"method": "linear", "search": search}))
    _, reader = page()
    assert reader.tables["merges"][1][2][0] == "0.3 both + 0.7 mono; searched, 9 tries at most"
