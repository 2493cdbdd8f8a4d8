"""What is re-ranked: rows of the results, and each re-ranker against its own first stage."""

import json
import re
from pathlib import Path

import pytest

from tests.report import conftest
from tests.report.conftest import MEANS, cells, edit, page, section, write

ROWS = {"again": (0.9, 0.5, 0.4, 30.0)}
FIRST = {"reranker": "cross", "first_stage": "data/runs/koenen", "depth": 20}


@pytest.fixture
def reranked(study, monkeypatch):
    """The study with the run of koenen re-ranked, which is no part of what other models are compared with."""
    monkeypatch.setattr(conftest, "MODELS", [*conftest.MODELS, *ROWS])
    monkeypatch.setattr(conftest, "MEANS", MEANS | ROWS)
    monkeypatch.setattr(conftest, "KINDS", conftest.KINDS | dict.fromkeys(ROWS, "re-ranked"))
    trained = {"compositions": ["enenen"], "negatives": "window"}
    edit(lambda params: params.update(rerankers={"cross": trained}, rerank={"again": FIRST}))
    for benchmark in conftest.BENCHMARKS:
        conftest.tables(benchmark, only_mono=benchmark == "plain")
        file = Path(f"metrics/tables/significance/{benchmark}.csv")
        lines = "mono,again,koenen,300,0.3,0.3,0.25,0.35,1e-05,1e-05,,1e-05,6.0,17,2e-05,true\n"
        if benchmark != "plain":
            lines += "language_bias,again,koenen,300,10.0,1.0,9.0,11.0,0.001,0.001,0.002,0.002,,,0.01,true\n"
        file.write_text(file.read_text() + lines)
    write("metrics/models/again.json", json.loads(Path("metrics/models/avg.json").read_text()))
    write("metrics/references.json", {"again": {"name": "re-ranker", **FIRST, "first_stage": "koenen"}})
    write("metrics/training/cross.csv", "step,loss\n4,0.75\n")
    report = json.loads(Path("metrics/trainsets.json").read_text())
    report["recipes"]["cross"] = {"enenen": {"asked": 5, "no_negatives": 0, "over_share": 0, "queries": 5, "rows": 5}}
    write("metrics/trainsets.json", report)
    found = json.loads(Path("metrics/contamination.json").read_text())
    write("metrics/contamination.json", {b: {**own, "cross": own["koenen"]} for b, own in found.items()})
    return study


def test_a_re_ranker_is_set_against_its_own_first_stage(reranked):
    text, reader = page()
    rows = [[cell for cell, _ in row] for row in reader.tables["reranked-test"]]
    assert rows[1:] == [
        ["Mono"],
        ["again", "koenen", "60.0", "90.0", "+30.0", "+25.0 to +35.0", "< 0.001", "▲ better", "< 0.001", "+6.00"],
        ["Bias"],
        ["again", "koenen", "20.0", "30.0", "+10.0", "+9.0 to +11.0", "0.010", "▼ worse", "0.001", "–"],
    ]
    assert "What re-ranking adds" in section(text, "benchmark-test")
    told = Path("metrics/report/tables.md").read_text()
    assert (
        "| Mono | again | koenen | 60.0 | 90.0 | +30.0 | +25.0 to +35.0 | < 0.001 | better | < 0.001 | +6.00 |" in told
    )


def test_first_stages_are_no_column_of_the_other_tests(reranked):
    _, reader = page()
    assert [cell for cell, _ in reader.tables["significance-test"][0]] == ["Model", "against base", "against both"]


def test_it_is_a_row_of_the_results_and_never_chosen(reranked):
    text, reader = page()
    assert reader.tables["results-test"][-1][0][0] == "again re-ranked"
    assert cells(reader, "results-test", "again")[1] == ("90.0", True)
    assert "Of 5 models" in text and "<code>avg</code> was chosen" in text
    assert "<dt>Re-ranked</dt>" in section(text, "reading")
    own = section(text, "references")
    assert re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', own) == [
        ("name", "re-ranker"),
        ("reranker", "cross"),
        ("first stage", "koenen"),
        ("depth", "20"),
    ]


def test_what_re_rankers_train_on_is_told(reranked):
    text, reader = page()
    assert "cross" in [row[0][0] for row in reader.tables["trained"]]
    assert "cross" in [row[0][0] for row in reader.tables["contaminated"]]
    assert "<code>cross</code> <span>0.75</span>" in section(text, "training")


def test_a_study_without_re_rankers_says_nothing_of_them(study):
    text, _ = page()
    assert "e-rank" not in text and "e-rank" not in Path("metrics/report/tables.md").read_text()
