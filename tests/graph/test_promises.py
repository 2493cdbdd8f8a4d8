"""What the graph promises: a change rebuilds what lies downstream of it, and nothing else."""

import json
import re
import shutil
import sys
import time

import pytest

from stages.settings import yaml12

pytestmark = [pytest.mark.graph, pytest.mark.xdist_group("smoke")]
MERGE = "avg-koenen-kokoko"
AFTER_RUNS = {"fusions", "score", "labels", "compare", "report", "chosen"}
# It reads all of params.yaml, and writes the same whenever that is right.
CHECK = {"check"}


def test_repro_again_does_nothing(graph):
    assert graph.repro() == set()


def test_a_merge_weight_reruns_that_merge_and_what_reads_it(graph):
    graph.edit(f"merges.{MERGE}.weights.koenen", 0.8)
    assert graph.repro() - CHECK == {"plans", f"merge@{MERGE}", f"retrieve-merged@{MERGE}", *AFTER_RUNS}


def test_a_merge_reruns_those_that_name_it_and_no_other(graph):
    pair = {"koenen": 1.0, "kokoko": 1.0}
    objective = {"models": ["koenen", "kokoko"], "objective": {"mono": 1.0, "bias": 0.1}, "budget": 3, "grid": 0.5}
    graph.edit("merges.of-merge", {"method": "linear", "weights": {MERGE: 0.5, "base": 0.5}})
    graph.edit("merges.important", {"method": "fisher", "weights": pair, "parameters": {"batches": 2}})
    graph.edit("merges.found", {"method": "linear", "search": objective})
    new = ("of-merge", "important", "found")
    ran = {"plans", *(f"merge@{name}" for name in new), *(f"retrieve-merged@{name}" for name in new), *AFTER_RUNS}
    assert graph.repro() - CHECK == ran
    found = json.loads(graph.read("models/merged/found/encoder.json"))["weights"]
    assert found == json.loads(graph.read("metrics/searches.json"))["found"]["weights"]
    told = json.loads(graph.read("metrics/models/found.json"))["dev"]["mono"]["ndcg@10"]
    # The study measures of the model what the search did.
    assert told == json.loads(graph.read("metrics/searches.json"))["found"]["mono"]
    graph.edit(f"merges.{MERGE}.weights.koenen", 0.8)
    changed = (MERGE, "of-merge")
    ran = {"plans", *(f"merge@{name}" for name in changed), *(f"retrieve-merged@{name}" for name in changed)}
    assert graph.repro() - CHECK == ran | AFTER_RUNS


def test_a_metric_reruns_nothing_that_encodes(graph):
    graph.edit("score.metrics", ["ndcg@10", "recall@50"])
    assert graph.repro() - CHECK == AFTER_RUNS - {"fusions", "labels"}


def test_a_limit_of_a_benchmark_encodes_nothing(graph):
    graph.edit("benchmarks.test.max_contamination", 0.5)
    assert graph.repro() - CHECK == {"benchmarks@test", "contamination", "plans", *AFTER_RUNS} - {"fusions"}


def test_one_recipe_retrains_one_model(graph):
    graph.edit("recipes.koenen.compositions", ["koenko"])
    assert graph.repro() - CHECK == {
        "trainsets",
        "contamination",
        "train@koenen",
        "retrieve-trained@koenen",
        "plans",
        f"merge@{MERGE}",
        f"retrieve-merged@{MERGE}",
        *AFTER_RUNS,
    }


def test_a_new_recipe_trains_one_model(graph):
    graph.edit("recipes.enkoko", {"compositions": ["enkoko"], "negatives": "window"})
    ran = graph.repro() - CHECK
    # The merge looks again, since what is trained changed; its bytes do not, so nothing is encoded after it.
    retrained = {"train@enkoko", "retrieve-trained@enkoko", f"merge@{MERGE}"}
    assert ran == {"trainsets", "contamination", "plans", *retrained, *AFTER_RUNS}
    assert "enkoko" in json.loads(graph.read("metrics/summary.json"))["test"]


def test_the_rank_window_encodes_nothing_before_training(graph):
    graph.edit("negatives.window.rank_min", 8)
    assert graph.repro("trainsets") == {"check", "negatives", "triples", "trainsets"}


def test_a_new_lexicon_runs_no_encoder(graph):
    graph.edit("lexicons.titled", {"source": "titles", "path": "data/collected"})
    assert graph.repro() - CHECK == {"lexicons@titled", "coverage", "codeswitch", "report"}


def test_a_probability_of_switching_retrains_what_trains_on_it(graph):
    graph.edit("recipes.koenen.switched", {"variant": "switched", "share": 0.5})
    assert graph.repro("train") - CHECK == {"trainsets", "contamination", "train@koenen"}
    graph.edit("codeswitch.switched.probability", 0.25)
    assert graph.repro("train") - CHECK == {"codeswitch", "trainsets", "contamination", "train@koenen"}


def test_forced_reruns_give_the_same_bytes(graph):
    lock = graph.read("dvc.lock")
    assert len(graph.repro("-f")) == len(yaml12.load(graph.folder / "dvc.lock")["stages"])
    assert graph.read("dvc.lock") == lock
    assert graph.run("git", "status", "--porcelain") == ""


def test_the_run_cache_restores_a_fresh_checkout(graph):
    for folder in ("corpus", "synthetic", "candidates", "runs", "scores"):
        shutil.rmtree(graph.folder / "data" / folder)
    shutil.rmtree(graph.folder / "models" / "trained")
    (graph.folder / "dvc.lock").unlink()
    assert graph.repro() == set()
    assert graph.run("git", "status", "--porcelain") == ""


def test_diffs_between_commits_show_what_changed(graph):
    graph.edit(f"merges.{MERGE}.weights.koenen", 0.8)
    graph.repro()
    graph.commit("heavier")
    params = json.loads(graph.run("dvc", "params", "diff", "HEAD~1", "HEAD", "--json"))
    assert params == {
        "params.yaml": {f"merges.{MERGE}.weights.koenen": {"old": 0.5, "new": 0.8, "diff": 0.30000000000000004}}
    }
    metrics = json.loads(graph.run("dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json"))
    changed = {file for file, values in metrics.items() if values}
    assert f"metrics/models/{MERGE}.json" in changed
    assert "metrics/models/koenen.json" not in changed
    graph.run("dvc", "plots", "diff", "HEAD~1", "HEAD", "--out", "plots")
    assert (graph.folder / "plots" / "index.html").is_file()


def test_experiments_run_here_and_from_the_queue_and_stand_side_by_side(graph):
    key = f"merges.{MERGE}.weights.koenen"
    said = graph.run(sys.executable, "-m", "tools.study", "smoke", "--queue", f"{key}=0.6,0.9")
    queued = re.findall(r"Queued experiment '(\S+)'", said)
    assert len(queued) == 2
    # What cannot be built fails alone.
    graph.run("dvc", "exp", "run", "--queue", "-n", "broken", "-S", "base.name=/no/such/model")
    graph.run("dvc", "queue", "start")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        status = graph.run("dvc", "queue", "status")
        if not re.search("Queued|Running", status):
            break
        time.sleep(2)
    assert status.count("Success") == 2, status + graph.run("dvc", "queue", "logs", queued[0], check=False)
    graph.run("dvc", "exp", "run", "-n", "here", "-S", f"{key}=0.7")
    shown = json.loads(graph.run("dvc", "exp", "show", "--json"))
    text = json.dumps(shown)
    assert all(name in text for name in ("here", *queued))
    table = graph.run(sys.executable, "-m", "tools.experiments")
    assert "left out: broken, which failed" in table
    assert f"| {key} | model " in table
    weights = re.findall(rf"^\| (0\.\d) +\| {MERGE} ", table, re.MULTILINE)
    # Once for each benchmark, dev and test.
    assert weights == ["0.6", "0.7", "0.9"] * 2
    graph.run("dvc", "exp", "apply", queued[1])
    assert yaml12.load(graph.folder / "params.yaml")["merges"][MERGE]["weights"]["koenen"] == 0.9


def test_a_removed_recipe_leaves_the_tables_and_tidy_removes_it(graph):
    params = graph.folder / "params.yaml"
    params.write_text("".join(line for line in params.read_text().splitlines(True) if not line.startswith("  enenen:")))
    assert graph.repro() - CHECK == {"trainsets", "contamination", "plans", *AFTER_RUNS} - {"fusions"}
    assert "enenen" not in json.loads(graph.read("metrics/summary.json"))["test"]
    assert not (graph.folder / "metrics/models/enenen.json").exists()
    graph.run(sys.executable, "-m", "tools.tidy")
    assert not (graph.folder / "data/runs/enenen").exists()
    assert not (graph.folder / "models/trained/enenen").exists()
    assert not any("enenen" in stage for stage in yaml12.load(graph.folder / "dvc.lock")["stages"])
    # The folder of all that is trained has changed, so the merge looks again; nothing is encoded.
    assert graph.repro() - CHECK <= {"plans", f"merge@{MERGE}", *AFTER_RUNS}


def test_a_mistake_is_one_sentence_before_any_work(graph):
    graph.edit("train.stepz", 3)
    said = graph.run(sys.executable, "-m", "stages.check", check=False)
    assert said == "error: params.yaml: unknown key train.stepz (did you mean steps?): rename or remove it\n"
    before = graph.read("dvc.lock")
    graph.edit("seed", 2)
    said = graph.run("dvc", "repro", check=False)
    assert "unknown key train.stepz" in said and "Running stage 'check'" in said
    assert said.count("Running stage") == 1
    assert graph.read("dvc.lock") == before


def test_too_much_contamination_is_refused_before_training(graph):
    """Dev questions are trained on: what is measured on test is not touched."""
    graph.code(
        "stages/contamination/limits.py",
        ("limit = 1.0 if benchmark.max_contamination is None", "limit = -1.0 if benchmark.max_contamination is None"),
    )
    graph.edit("train.steps", 13)
    said = graph.run("dvc", "repro", check=False)
    assert re.search(r"error: recipes\.\w+ trains on 0 % of the queries of the benchmark dev", said)
    assert "train@" not in said and "retrieve" not in said
