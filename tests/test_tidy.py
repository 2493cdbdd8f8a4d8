"""tidy: what params.yaml does not name goes, and nothing else."""

from stages.shared import yaml12

KEPT = [
    "models/base/model.safetensors",
    "models/trained/koenen/model.safetensors",
    "models/merged/avg-four/model.safetensors",
    "models/trained/.gitignore",
    "data/runs/base/x",
    "data/runs/koenen/x",
    "data/runs/avg-four/x",
    "data/benchmarks/dev/x",
    "data/corpus/passages.parquet",
    "data/runs/.gitignore",
    "metrics/training/koenen.csv",
    "metrics/training/.gitignore",
    "metrics/summary.json",
    "other/trained/old",
]
STALE = [
    "models/trained/old/model.safetensors",
    "models/trained/avg-four/model.safetensors",
    "models/trained/.koenen.123.draft/x",
    "models/merged/koenen/x",
    "data/runs/old/x",
    "data/benchmarks/old/x",
    "metrics/training/old.csv",
    "metrics/training/koenen",
]


def files(workspace):
    return {str(f.relative_to(workspace.path)) for f in workspace.path.rglob("*") if f.is_file()}


def test_only_what_is_not_named_is_removed(workspace, capsys):
    for name in [*KEPT, *STALE]:
        file = workspace.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
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
