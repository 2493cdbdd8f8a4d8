"""results: the table printed after a build."""

import json
from pathlib import Path

import pytest

from stages.shared.errors import UserError
from stages.shared.tasks import tasks
from tools import results


def test_a_table_is_padded_in_percent():
    rows = {
        "base": {"en-en": {"m": 0.5}, "mono": {"m": 0.12345}, "language_bias": 3.25},
        "a": {"en-en": {"m": 1.0}},
    }
    assert results.table(rows, ["en-en", "mono"], "m") == [
        "| model | en-en | mono | bias |",
        "| ----- | ----: | ---: | ---: |",
        "| base  |  50.0 | 12.3 | 3.25 |",
        "| a     | 100.0 |    - |    - |",
    ]


def test_tasks_of_more_than_three_languages_are_a_matrix():
    asked = tasks(["en", "ko", "de", "fr"], ["en", "ko", "de", "fr"])
    row = {task.name: {"m": 0.5 if task.name == "en-ko" else 0.25} for task in asked if task.name != "fr-*"}
    assert results.columns({"base": row | {"mono": {"m": 0.25}}}, asked) == ["mono"]
    assert results.columns({"base": row}, asked[:2]) == ["en-en", "en-ko"]
    assert results.matrix(row, asked, "m")[::3] == [
        "| asks |   en |   ko |   de |   fr |    * |",
        "| ko   | 25.0 | 25.0 | 25.0 | 25.0 | 25.0 |",
    ]
    assert results.matrix(row, asked, "m")[2] == "| en   | 25.0 | 50.0 | 25.0 | 25.0 | 25.0 |"
    assert results.matrix(row, asked, "m")[-1] == "| fr   | 25.0 | 25.0 | 25.0 | 25.0 |    - |"


def test_the_median_of_bias_is_a_column_where_it_was_measured():
    rows = {"base": {"language_bias": 53.95, "language_bias_median": 3.5}, "a": {"language_bias": 26.01}}
    assert results.table(rows, [], "m") == [
        "| model |  bias | median |",
        "| ----- | ----: | -----: |",
        "| base  | 53.95 |    3.5 |",
        "| a     | 26.01 |      - |",
    ]


def test_the_lead_of_what_was_chosen_is_printed(built, capsys):
    leads = {"best_recipe": None, "chosen_model": {"over": "one", "lead": 0.0018, "standard_error": 0.0038}}
    summary = {"best_recipe": "one", "chosen_model": "base", "leads": leads}
    Path("metrics/summary.json").write_text(json.dumps(summary))
    built.run("results")
    printed = capsys.readouterr().out
    assert "best of all on dev: base, 0.18 ± 0.38 points ahead of one\n" in printed
    assert "best single recipe on dev: one\n" in printed


def test_a_table_by_label_is_the_papers():
    row = {"accuracy@1": 0.5, "accuracy@3": 0.75, "accuracy@5": 1.0, "mrr": 0.66666, "macro": 0.1, "ece": None}
    assert results.label_table({"base": row}) == [
        "| model |  R@1 |  R@3 |   R@5 |  MRR |",
        "| ----- | ---: | ---: | ----: | ---: |",
        "| base  | 50.0 | 75.0 | 100.0 | 66.7 |",
    ]


def test_without_results_it_says_how_to_get_them(workspace):
    with pytest.raises(UserError, match="run `make repro`"):
        workspace.run("results")


@pytest.fixture
def built(workspace):
    """Results of two models on `dev`, `chat` and, by label, on `intents`."""
    recipe = {"compositions": ["enenen"], "negatives": "window"}
    chat = {"source": "beir", "path": "x", "languages": ["hi-Latn", "en"], "metric": "accuracy@1"}
    intents = {"source": "hinglish-top", "path": "x", "languages": ["hi-Latn", "en"]}
    workspace.edit(
        recipes={"one": recipe},
        merges={},
        references={},
        benchmarks={"dev": {"source": "beir", "path": "x"}, "chat": chat, "intents": intents},
        score__metrics=["ndcg@10", "accuracy@1"],
    )
    Path("metrics/models").mkdir(parents=True)
    Path("metrics/summary.json").write_text('{"best_recipe": "one", "chosen_model": "base"}')
    labelled = {}
    for model, value in (("base", 0.25), ("one", 0.5)):
        scores = {"ndcg@10": value, "accuracy@1": value / 10}
        crossed = {"hi-Latn-en": scores, "cross": scores}
        report = {"dev": {"ko-ko": scores, "mono": scores}, "chat": crossed, "intents": crossed}
        Path(f"metrics/models/{model}.json").write_text(json.dumps(report))
        measures = {"accuracy@1": value, "accuracy@3": value + 0.1, "accuracy@5": value + 0.2, "mrr": value + 0.05}
        labelled[model] = {"tasks": {"en-en": measures | {"mrr": 1.0}, "hi-Latn-en": measures}}
    tasks = {"en-en": {"queries": 4}, "hi-Latn-en": {"queries": 4}}
    Path("metrics/labels.json").write_text(json.dumps({"intents": {"tasks": tasks, "models": labelled}}))
    return workspace


def test_each_benchmark_is_shown_by_its_own_metric_and_tasks(built, capsys):
    built.run("results")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    dev, chat = lines.index("dev, on which models are chosen: ndcg@10 x 100"), lines.index("chat: accuracy@1 x 100")
    assert lines[dev + 1 : dev + 5 : 3] == ["| model | ko-ko | mono | bias |", "| one   |  50.0 | 50.0 |    - |"]
    assert lines[chat + 1 : chat + 5 : 3] == [
        "| model | hi-Latn-en | cross | bias |",
        "| one   |        5.0 |   5.0 |    - |",
    ]
    assert "chosen model, the best of all on dev: base" in lines


def test_a_benchmark_by_label_is_shown_as_the_paper_shows_it(built, capsys):
    built.run("results")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    english, hinglish = (
        lines.index("intents, en-en by label: x 100"),
        lines.index("intents, hi-Latn-en by label: x 100"),
    )
    head = "| model |  R@1 |  R@3 |  R@5 |   MRR |"
    assert lines[english + 1 : english + 5 : 3] == [head, "| one   | 50.0 | 60.0 | 70.0 | 100.0 |"]
    assert lines[hinglish + 4] == "| one   | 50.0 | 60.0 | 70.0 | 55.0 |"
    assert not any("intents: ndcg" in line for line in lines)


def test_results_by_label_that_are_missing_or_stale_are_one_sentence(built):
    labelled = json.loads(Path("metrics/labels.json").read_text())
    del labelled["intents"]["models"]["one"]
    Path("metrics/labels.json").write_text(json.dumps(labelled))
    with pytest.raises(
        UserError, match=r"^metrics/labels\.json has no results of one on intents yet: run `make repro`$"
    ):
        built.run("results")
    Path("metrics/labels.json").unlink()
    with pytest.raises(UserError, match=r"^metrics/labels\.json is missing: run `make repro`$"):
        built.run("results")
