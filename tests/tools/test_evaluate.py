"""evaluate: the study's figures of a model, without the study's outputs."""

import json
from pathlib import Path

import pytest

from stages.schemas.benchmarks import BENCHMARK_LABELS
from stages.shared import tables
from stages.shared.errors import UserError
from tests.fakes.checkpoints import static_model
from tests.test_retrieve import benchmark, frame

PASSAGES = [(f"p{i}", lang, "", f"w{i} w{20 + i}") for i in range(6) for lang in ("en", "ko")]
QUERIES = [("q", "en", "w1"), ("q", "ko", "w2"), ("s", "en", "w3")]
JUDGED = [("q", "p1", "en", 1), ("q", "p1", "ko", 1), ("s", "p3", "en", 1)]


@pytest.fixture
def study(workspace):
    """A benchmark of passages and one by label, and a static model in the folder `mine`."""
    benchmark("dev", PASSAGES, QUERIES, JUDGED)
    benchmark("kb", PASSAGES, QUERIES, JUDGED, by_label=True)
    labelled = [("query", "q", "one"), ("query", "s", "three"), ("passage", "p1", "one"), ("passage", "p3", "three")]
    labelled += [("passage", f"p{i}", "none") for i in (0, 2, 4, 5)]
    for name, rows in (("dev", []), ("kb", labelled)):
        tables.write(frame(rows, BENCHMARK_LABELS), f"data/benchmarks/{name}/labels.parquet", BENCHMARK_LABELS)
    static_model().save_pretrained(str(workspace.path / "mine"), create_model_card=False)
    own = {"source": "held-out", "path": "data/collected", "split": "dev"}
    return workspace.edit(
        benchmarks={"dev": own, "kb": {"source": "hinglish-top", "path": "x", "metric": "accuracy@1"}},
        score__metrics=["ndcg@10", "accuracy@1"],
        recipes={"one": {"compositions": ["enenen"], "negatives": "window"}},
        merges={},
        references={"bm25": {"bm25": {}}},
    )


def files(study):
    return {file for file in study.path.rglob("*") if file.is_file()}


def test_the_table_is_that_of_results_and_nothing_else_is_written(study, capsys):
    before = files(study)
    study.run("evaluate", "bm25", "mine", "bm25")
    lines = capsys.readouterr().out.splitlines()
    assert files(study) == before
    dev = lines.index("dev: ndcg@10 x 100")
    header = [cell.strip() for cell in lines[dev + 1].split("|")[1:-1]]
    tasks = ["en-en", "en-ko", "en-*", "ko-en", "ko-ko", "ko-*", "mono", "cross", "multi"]
    assert header == ["model", *tasks, "bias", "median"]
    assert [line.split()[1] for line in lines[dev + 3 : dev + 5]] == ["bm25", "mine"] and lines[dev + 5] == ""
    bm25 = [cell.strip() for cell in lines[dev + 3].split("|")[1:-1]]
    assert bm25[1:5] == ["100.0", "100.0", "81.5", "0.0"]
    labelled = lines[lines.index("kb, en-en by label: x 100") + 1]
    assert labelled.replace("|", " ").split() == ["model", "R@1", "R@3", "R@5", "MRR"]


def test_its_figures_are_those_of_the_stages(study):
    study.run("evaluate", "bm25", "--json", "out.json")
    study.run("references", "bm25")
    study.edit(recipes={}, benchmarks__kb=..., fusions={})
    (study.path / "data/runs/base").symlink_to("bm25")
    study.run("fusions")
    study.run("score")
    told = json.loads(Path("out.json").read_text())["bm25"]["dev"]
    assert told == json.loads(Path("metrics/models/bm25.json").read_text())["dev"]


def test_a_model_whose_tokenizer_knows_little_is_warned_of(study, caplog):
    benchmark("dev", [*PASSAGES[:11], ("p5", "ko", "", "누가 누가 누가 w25")], QUERIES, JUDGED)
    study.run("evaluate", "mine")
    assert "mine: of the tokens 11% in ko are unknown to its tokenizer" in caplog.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere", "^MODEL is './nowhere', which is no folder: name a hub id, a folder or package:"),
        ("package:x", "^'package:x' is no encoder that a package carries"),
    ],
)
def test_a_model_that_is_not_there_is_one_sentence(study, name, message):
    with pytest.raises(UserError, match=message):
        study.run("evaluate", name)


def test_without_benchmarks_it_says_how_to_get_them(workspace):
    with pytest.raises(UserError, match="data/benchmarks is missing: run `dvc repro`"):
        workspace.run("evaluate", "bm25")
    (workspace.path / "data/benchmarks").mkdir(parents=True)
    with pytest.raises(UserError, match="data/benchmarks/dev is missing: run `dvc repro benchmarks`"):
        workspace.run("evaluate", "bm25")
