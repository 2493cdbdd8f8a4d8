"""results: the table printed after a build."""

import json
from pathlib import Path

import pytest

from stages import results
from stages.shared.errors import UserError


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


def test_without_results_it_says_how_to_get_them(workspace):
    with pytest.raises(UserError, match="run `make repro`"):
        workspace.run("results")


def test_each_benchmark_is_shown_by_its_own_metric_and_tasks(workspace, capsys):
    recipe = {"compositions": ["enenen"], "negatives": "window"}
    workspace.edit(
        recipes={"one": recipe},
        merges={},
        benchmarks={
            "dev": {"source": "beir", "path": "x"},
            "chat": {"source": "hinglish-top", "path": "x", "languages": ["hi-Latn", "en"], "metric": "accuracy@1"},
        },
        score__metrics=["ndcg@10", "accuracy@1"],
    )
    Path("metrics/models").mkdir(parents=True)
    Path("metrics/summary.json").write_text('{"best_recipe": "one", "chosen_model": "base"}')
    for model, value in (("base", 0.25), ("one", 0.5)):
        scores = {"ndcg@10": value, "accuracy@1": value / 10}
        report = {"dev": {"ko-ko": scores, "mono": scores}, "chat": {"hi-Latn-en": scores, "cross": scores}}
        Path(f"metrics/models/{model}.json").write_text(json.dumps(report))
    workspace.run("results")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    dev, chat = lines.index("dev, on which models are chosen: ndcg@10 x 100"), lines.index("chat: accuracy@1 x 100")
    assert lines[dev + 1 : dev + 5 : 3] == ["| model | ko-ko | mono | bias |", "| one   |  50.0 | 50.0 |    - |"]
    assert lines[chat + 1 : chat + 5 : 3] == [
        "| model | hi-Latn-en | cross | bias |",
        "| one   |        5.0 |   5.0 |    - |",
    ]
    assert "chosen model, the best of all on dev: base" in lines
