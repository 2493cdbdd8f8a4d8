"""tidy: what params.yaml does not name goes, and nothing else."""

import pytest

from stages.settings import yaml12
from tests.conftest import ROOT

KEPT = [
    "models/base/model.safetensors",
    "models/trained/koenen/model.safetensors",
    "models/merged/avg-four/model.safetensors",
    "models/trained/.gitignore",
    "data/runs/base/x",
    "data/runs/koenen/x",
    "data/runs/avg-four/x",
    "data/runs/bm25/x",
    "data/fused/x",
    "data/reranked/.gitignore",
    "data/reranked/better/x",
    "models/rerankers/cross/model.safetensors",
    "metrics/training/cross.csv",
    "data/benchmarks/dev/x",
    "data/fetch/belebele/data/kor_Hang.jsonl",
    "data/corpus/passages.parquet",
    "data/runs/.gitignore",
    "metrics/training/koenen.csv",
    "metrics/benchmarks/dev.json",
    "metrics/training/.gitignore",
    "metrics/summary.json",
    "other/trained/old",
]
STALE = [
    "models/trained/old/model.safetensors",
    "models/trained/avg-four/model.safetensors",
    "models/trained/.koenen.123.draft/x",
    "models/.base.123.draft/x",
    "metrics/.report.123.draft",
    "models/merged/koenen/x",
    "data/runs/old/x",
    "data/benchmarks/old/x",
    "data/fetch/old/x",
    "data/fetch/koenen/x",
    "metrics/training/old.csv",
    "metrics/benchmarks/old.json",
    "data/reranked/cross/x",
    "models/rerankers/koenen/model.safetensors",
    "metrics/training/koenen",
]
FETCHED = {"belebele": {"repo": "facebook/belebele", "revision": "main", "files": ["data/kor_Hang.jsonl"]}}


def files(workspace):
    return {str(f.relative_to(workspace.path)) for f in workspace.path.rglob("*") if f.is_file()}


def test_only_what_is_not_named_is_removed(workspace, capsys):
    for name in [*KEPT, *STALE]:
        file = workspace.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    trained = {"compositions": ["enenen"], "negatives": "window"}
    workspace.edit(
        fetch=FETCHED,
        base__name="some/transformer",
        rerankers={"cross": trained},
        rerank={"better": {"reranker": "cross", "first_stage": "data/runs/bm25", "depth": 10}},
    )
    workspace.run("tidy")
    assert files(workspace) == {*KEPT, "params.yaml"}
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == len(STALE)
    assert "removing models/trained/old, which params.yaml does not name" in printed
    workspace.run("tidy")
    assert capsys.readouterr().out == ""


def test_a_fresh_clone_has_nothing_to_remove(workspace):
    workspace.run("tidy")
    assert files(workspace) == {"params.yaml"}


def test_a_name_taken_out_takes_its_outputs_along(workspace):
    recipes = yaml12.load(workspace.params)["recipes"]
    for name in recipes:
        (workspace.path / "models/trained" / name).mkdir(parents=True)
    workspace.edit(recipes={"koenen": recipes["koenen"]}, merges={}).run("tidy")
    assert [f.name for f in (workspace.path / "models/trained").iterdir()] == ["koenen"]


@pytest.mark.parametrize("fetched", [{}, FETCHED])
def test_the_lock_forgets_stages_that_are_gone(workspace, fetched):
    (workspace.path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    kept = ["corpus", "retrieve-base", "train@koenen", "merge@avg-four", "benchmarks@dev", "retrieve-merged@avg-four"]
    # Not a member of that group, though of another.
    gone = ["old", "train@old", "train@avg-four", "merge@koenen", "benchmarks@koenen", "fetch@koenen", "train"]
    (kept if fetched else gone).append("fetch@belebele")
    stages = "".join(f"  {name}:\n    cmd: x\n" for name in [*kept, *gone])
    (workspace.path / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n{stages}")
    workspace.edit(fetch=fetched).run("tidy")
    lock = yaml12.load(workspace.path / "dvc.lock")
    assert list(lock["stages"]) == kept
    assert lock["schema"] == "2.0"
