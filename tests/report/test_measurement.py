"""A benchmark's tables: every model, best values, marks, metrics and tasks."""

import json
from pathlib import Path

from tests.report.conftest import BENCHMARKS, MODELS, TASKS, cells, edit, page, section, write


def test_every_model_is_in_every_results_table(study):
    _, reader = page()
    for benchmark in ("dev", "test", "plain"):
        rows = reader.tables[f"results-{benchmark}"][2:]
        assert [row[0][0].split()[0] for row in rows] == MODELS


def test_numbers_and_best_values(study):
    _, reader = page()
    assert cells(reader, "results-test", "avg")[1:5] == [
        ("61.0", True),
        ("57.0", True),
        ("48.0", False),
        ("15.0", False),
    ]
    assert cells(reader, "results-test", "both")[1:5] == [
        ("58.0", False),
        ("56.0", False),
        ("50.0", True),
        ("10.0", True),
    ]
    rows = reader.tables["results-test"][2:]
    for column in range(1, len(rows[0])):
        assert [row[column][1] for row in rows].count(True) == 1
    assert [c[0] for c in reader.tables["results-test"][1]] == ["Mono", "Cross", "Multi", "Bias", *TASKS]


def test_models_are_marked(study):
    _, reader = page()
    named = {row[0][0].split()[0]: row[0][0] for row in reader.tables["results-test"][2:]}
    assert named["avg"] == "avg merge chosen Pareto front"
    assert named["koenko"] == "koenko recipe QNM"
    assert named["both"] == "both recipe best recipe"
    assert named["koenen"] == "koenen recipe"


def test_what_a_benchmark_lacks_is_a_dash(study):
    text, reader = page()
    assert cells(reader, "results-plain", "avg")[1:] == [
        ("61.0", True),
        ("–", False),
        ("–", False),
        ("–", False),
        ("61.0", True),
    ]
    assert "tradeoff-plain" not in text and "tradeoff-test" in text
    assert text.count("so there is no trade-off to draw") == 1
    assert (
        "| avg | merge | chosen, Pareto front | **61.0** | – | – | – | **61.0** |"
        in Path("metrics/report/tables.md").read_text()
    )


def test_each_benchmark_is_shown_by_its_own_metric(study):
    edit(lambda params: params["benchmarks"]["plain"].update(metric="recall@1"))
    text, _ = page()
    sections = {name: section(text, f"benchmark-{name}") for name in BENCHMARKS}
    assert "Recall@1 x 100 of every model" in sections["plain"] and "nDCG@10 x 100" not in sections["plain"]
    assert "nDCG@10 x 100 of every model" in sections["test"] and "Recall@1 x 100" not in sections["test"]
    assert (
        "on <code>dev</code> by the mean of Mono, Cross and Multi nDCG@10, less 0.01 points for each rank of bias: 2.00"
        in text
    )
    assert "Scores x 100 of avg" in text and "<code>plain</code>, Recall@1" in text
    assert "## plain: Recall@1" in Path("metrics/report/tables.md").read_text()
    card = Path("metrics/report/model_card.md").read_text()
    assert "### plain\n\nRecall@1 x 100" in card and "### test\n\nnDCG@10 x 100" in card
    edit(lambda params: params["benchmarks"].pop("plain"))
    text, _ = page()
    assert "nDCG@10 x 100 of avg" in text


def test_a_benchmark_of_one_cross_lingual_task_in_another_language(study):
    """Chosen on it, there is no Mono to speak of; its language is none of the study's."""
    own = {"source": "hinglish-top", "path": "/somewhere/top", "languages": ["hi-Latn", "en"], "queries": 50}
    edit(lambda params: params["benchmarks"].update(plain=own) or params["compare"].update(select_on="plain"))
    tradeoff = Path("metrics/tables/tradeoff/plain.csv")
    lines = tradeoff.read_text().replace(",,,,", ",,,").splitlines()
    header, *rows = [line.split(",") for line in lines]
    tradeoff.write_text(
        "\n".join([lines[0], *(",".join([m, "", value, "", "", *rest[-3:]]) for m, value, *rest in rows)])
    )
    write("metrics/tables/tasks/plain.csv", "model,task,value\n" + "".join(f"{m},hi-Latn-en,0.5\n" for m in MODELS))
    tests = Path("metrics/tables/significance/plain.csv")
    tests.write_text(tests.read_text().replace("mono,", "cross,"))
    task = {"accuracy@1": 0.5, "accuracy@3": 0.5, "accuracy@5": 0.5, "mrr": 0.5, "macro": 0.5, "auroc": 0.5, "ece": 0.1}
    told = {"threshold": None, "probability": {"slope": 1.0, "intercept": 0.0}, "confusions": []}
    told["tasks"] = {"hi-Latn-en": task | {"answered": None, "precision": None, "bins": []}}
    counts = {"hi-Latn-en": {"queries": 50, "labels": 2}}
    write("metrics/labels.json", {"plain": {"tasks": counts, "models": dict.fromkeys(MODELS, told)}})
    text, reader = page()
    _, header, *rows = [[c[0] for c in row] for row in reader.tables["results-plain"]]
    assert header == ["Mono", "Cross", "Multi", "Bias", "hi-Latn-en"]
    assert rows[-1][1:] == ["–", "61.0", "–", "–", "50.0"]
    assert [c[0] for c in reader.tables["compositions-plain"][1]] == ["query", "positive", "negatives", "hi-Latn-en"]
    assert "on <code>plain</code> by the Cross nDCG@10: 2.00" in text
    assert "tradeoff-plain" not in text
    assert (
        "Source: Hinglish-TOP in top, where a passage answers if it has the query&#39;s label, a sample of 50 queries."
        in text
    )


def test_language_bias_has_its_interval_and_median(study):
    text, _ = page()
    bars = section(text, "benchmark-test").split('class="bars"')[1].split("</table>")[0]
    assert bars.index("<code>both") < bars.index("<code>avg") < bars.index("<code>koenko")
    assert "<td>15.0 <small>10.0 to 20.0; median 1.5</small></td>" in bars
    assert "| avg | 15.0 | 10.0 to 20.0 | 1.5 |" in Path("metrics/report/tables.md").read_text()
    assert "Not measured: no query has" in section(text, "benchmark-plain")


def test_compositions_are_the_recipes_of_one(study):
    _, reader = page()
    rows = [[c[0] for c in row] for row in reader.tables["compositions-test"]]
    assert [row[:4] for row in rows[2:]] == [["koenen", "ko", "en", "en"], ["koenko", "ko", "en", "ko"]]


def test_how_rankings_treat_languages(study):
    text, _ = page()
    assert "Languages in the pool" not in text
    for number, model in enumerate(MODELS):
        scores = json.loads(Path(f"metrics/models/{model}.json").read_text())
        preference = {"en-*": {"en": 0.25, "ko": -0.25}, "ko-*": {"en": -0.1, "ko": 0.1}}
        own = {"peer": number / 10, "rank_correlation": 0.5, "own_language": 0.175, "preference": preference}
        scores["test"]["languages"] = own
        write(f"metrics/models/{model}.json", scores)
    text, reader = page()
    assert [c[0] for c in cells(reader, "languages-test", "avg")] == ["avg", "40.0", "50.0", "+17.5"]
    assert cells(reader, "languages-test", "avg")[1][1]
    assert [[c[0] for c in row] for row in reader.tables["preferences-test"]] == [
        ["asks", "en", "ko"],
        ["en", "+25.0", "−25.0"],
        ["ko", "−10.0", "+10.0"],
    ]
    assert "languages-dev" not in text
    assert "| **40.0** | **50.0** | +17.5 |" in Path("metrics/report/tables.md").read_text()
    assert "| 40.0 | 50.0 | +17.5 |" in Path("metrics/report/model_card.md").read_text()


def test_tasks_of_more_than_three_languages_are_a_matrix(study):
    """A row for each language that asks; the tables of all models keep to the means."""
    spoken = ["en", "ko", "de", "fr"]
    edit(lambda params: params.update(languages=spoken))
    lines = ["model,task,value"]
    lines += [f"{model},{q}-{c},{0.5 + (q == c) / 4}" for model in MODELS for q in spoken for c in [*spoken, "*"]]
    write("metrics/tables/tasks/test.csv", "\n".join(lines) + "\n")
    _, reader = page()
    assert [c[0] for c in reader.tables["results-test"][1]] == ["Mono", "Cross", "Multi", "Bias"]
    shown = [[c[0] for c in row] for row in reader.tables["tasks-test-avg"]]
    assert shown[0] == ["asks", *spoken, "*"]
    assert shown[2] == ["ko", "50.0", "75.0", "50.0", "50.0", "50.0"]
    assert "tasks-test-base" in reader.tables and "tasks-test-koenen" not in reader.tables
    assert [c[0] for c in reader.tables["compositions-test"][1]] == [
        *("query", "positive", "negatives", "Mono", "Cross", "Multi"),
    ]
