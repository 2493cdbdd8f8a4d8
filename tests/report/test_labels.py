"""Benchmarks by label: every model and task, calibration, confusions, thresholds."""

from pathlib import Path

from stages.report import charts
from tests.report.conftest import MODELS, cells, page, section, write


def test_by_label_shows_every_model_and_task(by_label):
    text, reader = page()
    own = section(text, "by-label")
    heads, header, *rows = [[c[0] for c in row] for row in reader.tables["label-plain-1"]]
    assert heads == ["Model", "Entries of the label", "Top score", "With a threshold"]
    assert header == ["R@1", "R@3", "R@5", "MRR", "Macro", "AUROC", "ECE", "Threshold", "Answered", "Precision"]
    assert [row[0].split()[0] for row in rows] == MODELS
    assert rows[0][1:] == ["50.0", "80.0", "90.0", "60.0", "40.0", "75.0", "10.0", "–", "–", "–"]
    assert cells(reader, "label-plain-1", "avg")[1:] == [
        *(("70.0", True), ("80.0", True), ("90.0", True), ("80.0", True), ("60.0", True), ("75.0", True)),
        *(("5.0", True), ("0.6125", False), ("60.0", False), ("75.0", False)),
    ]
    assert "plain, en-en: 1,200 English queries of 3 labels on English entries." in own
    assert "plain, hi-Latn-en: 1,200 Hindi (Latin) queries" in own
    assert own.index("label-plain-1") < own.index("label-dev-1") and "label-test-1" not in own
    assert "at least 90 % of the answers are right" in own
    assert own.count("so the numbers of score and threshold flatter every model") == 1
    # What is by label is told by its results, not by its kind of source.
    source = "Source: the collection&#39;s dev split, where a passage answers if it has the query&#39;s label."
    assert source in text and text.count("where a passage answers if") == 2


def test_by_label_shows_categories_calibration_and_confusions_of_the_chosen_model(by_label):
    text, reader = page()
    assert [[c[0] for c in row] for row in reader.tables["categories-plain-1"]] == [
        ["Category", "queries", "base", "avg"],
        ["cards", "1,100", "50.0", "70.0"],
        ["pay|ments", "100", "25.0", "25.0"],
    ]
    assert [c[0] for c in reader.tables["confusions-dev"][1]] == [
        *("cards/lost", "pay|ments/due", "1,234", "mera <card> | kahan?"),
    ]
    assert "mera &lt;card&gt;" in text
    drawn = charts.reliability([(0.25, 0.5), (0.75, 1.0)])
    assert text.count(f'<polyline class="curve" points="{drawn.line}"/>') == 3
    tables = Path("metrics/report/tables.md").read_text()
    assert r"| cards/lost | pay\|ments/due | 1,234 | mera \<card\> \| kahan? |" in tables
    assert r"| pay\|ments | 100 | **25.0** | **25.0** |" in tables
    assert "## plain by label: hi-Latn-en" in tables and "## dev (used for choosing) by label: en-en" in tables
    assert "| avg | merge | chosen, Pareto front | **70.0** |" in tables


def test_models_chosen_without_labels_have_no_threshold(by_label):
    for told in by_label["plain"]["models"].values():
        told["threshold"] = told["probability"] = None
        for own in told["tasks"].values():
            own |= {"ece": None, "answered": None, "precision": None, "bins": [[0.2, None, 0.5]]}
    write("metrics/labels.json", {"plain": by_label["plain"]})
    text, reader = page()
    assert "<code>dev</code> is not by label, so there are neither maps" in text and "logistic map" not in text
    assert [c[0] for c in cells(reader, "label-plain-2", "avg")][6:] == ["75.0", "–", "–", "–", "–"]
    assert "reliability-plain" not in text and "categories-plain-1" in text
    assert "No threshold was chosen, since `dev` is not by label." in Path("metrics/report/model_card.md").read_text()


def test_a_study_without_labels_says_nothing_of_them(study):
    text, _ = page()
    assert "by-label" not in text and "By label" not in text and "query&#39;s label" not in text
    assert "tools.answer" not in Path("metrics/report/model_card.md").read_text()
    assert "by label" not in Path("metrics/report/tables.md").read_text()


def test_questions_that_no_entry_fits_have_columns_of_their_own(by_label):
    assert "so how many questions that have none are turned away was not measured" in page()[0]
    for told in by_label["plain"]["models"].values():
        for task in told["tasks"]:
            told["tasks"][task] = told["tasks"][task] | {"rejected": 0.25, "out_of_scope_auroc": 0.5}
    for task, counts in by_label["plain"]["tasks"].items():
        by_label["plain"]["tasks"][task] = counts | {"out_of_scope": 40}
    write("metrics/labels.json", by_label)
    text, reader = page()
    heads, header, *rows = [[c[0] for c in row] for row in reader.tables["label-plain-1"]]
    assert heads[-1] == "Out of scope" and header[-3:] == ["Precision", "Rejected", "AUROC"]
    assert rows[0][-3:] == ["–", "25.0", "50.0"]
    assert "queries of 3 labels and 40 that no entry fits on English entries" in text
    assert "turned away was not measured" not in text
    # The card's columns are those it names.
    assert "| plain | hi-Latn-en | 70.0 | 60.0 | 75.0 |" in Path("metrics/report/model_card.md").read_text()
