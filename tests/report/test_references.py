"""References and fusions: a row in each table, how each was run, and no part in what is chosen."""

import json
import re
from pathlib import Path

import pytest

from stages.shared.errors import UserError
from tests.report import conftest
from tests.report.conftest import MEANS, cells, edit, page, section, write


@pytest.fixture
def referred(study, monkeypatch):
    """The study with BM25 and a fusion beside its models."""
    rows = {"words": (0.7, 0.1, 0.4, 300.0), "both-fused": (0.65, 0.5, 0.4, 30.0)}
    monkeypatch.setattr(conftest, "MODELS", [*conftest.MODELS, *rows])
    monkeypatch.setattr(conftest, "MEANS", MEANS | rows)
    monkeypatch.setattr(conftest, "KINDS", conftest.KINDS | dict.fromkeys(rows, "reference"))
    edit(
        lambda params: params.update(
            references={"words": {"bm25": {}}}, fusions={"both-fused": {"of": ["words", "both"]}}
        )
    )
    for benchmark in conftest.BENCHMARKS:
        conftest.tables(benchmark, only_mono=benchmark == "plain")
    for row in rows:
        write(f"metrics/models/{row}.json", json.loads(Path("metrics/models/avg.json").read_text()))
    fusion = {"name": "fusion", "of": ["words", "both"], "k": 60, "ranks_unknown": {"test": 1234}}
    write("metrics/references.json", {"words": {"name": "BM25", "k1": 0.9, "b": 0.4}, "both-fused": fusion})
    return study


def test_references_are_rows_of_the_results_and_of_the_tests(referred):
    text, reader = page()
    rows = [row[0][0] for row in reader.tables["results-test"][2:]]
    assert rows[-2:] == ["words reference", "both-fused reference"]
    assert cells(reader, "results-test", "words")[1] == ("70.0", True)
    assert "words" in {row[0][0] for row in reader.tables["significance-test"]}
    assert text.count('class="reference"') == 2 * 3  # two points and the legend on both charts
    assert "Of 5 models (the base, 3 fine-tuned recipes and 1 merge), <code>avg</code> was chosen" in text


def test_references_are_told_as_they_were_run(referred):
    text, _ = page()
    own = section(text, "references")
    assert re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', own) == [
        ("name", "BM25"),
        ("k1", "0.9"),
        ("b", "0.4"),
        ("name", "fusion"),
        ("k", "60"),
        ("of", "words, both"),
        ("language bias on test", "not known: 1,234 relevant passages are in none of its runs"),
    ]
    assert "- words: BM25, k1 0.9, b 0.4\n" in Path("metrics/report/tables.md").read_text()


def test_the_card_sets_the_chosen_model_beside_them(referred):
    page()
    card = Path("metrics/report/model_card.md").read_text()
    shown = card.split("Beside what it was never trained, merged or chosen with", 1)[1]
    assert "| model | Mono | Cross | Multi | Bias |" in shown
    assert "| avg | 61.0 | 57.0 | 48.0 | 15.0 |\n| words | 70.0 | 10.0 | 40.0 | 300.0 |" in shown


def test_a_study_without_references_says_nothing_of_them(study):
    text, _ = page()
    assert 'id="references"' not in text and "reference</li>" not in text
    assert "Beside what" not in Path("metrics/report/model_card.md").read_text()


def test_a_record_that_is_missing_is_one_sentence(referred):
    write("metrics/references.json", {})
    with pytest.raises(UserError, match=r"metrics/references\.json says nothing of words: run `dvc repro`"):
        page()
