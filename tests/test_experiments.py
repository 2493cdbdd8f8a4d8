"""compare --experiments: finished experiments side by side, seeds taken together, and nothing that was not finished."""

import copy
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from stages.compare import experiments
from stages.shared.errors import UserError

PARAMS = {
    "seed": 1,
    "base": {"name": "static"},
    "train": {"steps": 8, "lora": None},
    "recipes": {"koenen": {"negatives": "window"}},
    "merges": {},
    "benchmarks": {"test": {"source": "held-out"}, "own": {"source": "beir", "metric": "map@100"}},
    "compare": {"metric": "ndcg@10"},
}
IDENTITY = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Study:
    """A repository whose commits hold params, a lock and a summary; experiments as DVC keeps them."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.made = 0

    def git(self, *arguments):
        # Commits a second apart, in the order they are made.
        date = {"GIT_COMMITTER_DATE": f"{1_700_000_000 + self.made} +0000"}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=os.environ | IDENTITY | date,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def write(self, mono=0.5, code="a", locked=None, models=("base", "koenen"), summary=True, **changes):
        """Write params with `changes` (`base__name="x"`), a lock that says so, and a summary of `mono`."""
        params = copy.deepcopy(PARAMS)
        for key, value in changes.items():
            *groups, last = key.split("__")
            group = params
            for name in groups:
                group = group[name]
            group[last] = value
        held = params | (locked or {})
        stages = {
            "corpus": {
                "deps": [{"path": "stages/corpus.py", "md5": code}],
                "params": {"params.yaml": {"seed": held["seed"]}},
                "outs": [{"path": "data/corpus", "md5": f"from {held['seed']}"}],
            },
            # Of a recipe that is gone: DVC keeps it.
            "train@old": {"deps": [{"path": "stages/old.py", "md5": "o"}], "params": {"params.yaml": {"seed": 99}}},
            "compare": {
                "deps": [
                    {"path": "stages/compare.py", "md5": "c"},
                    {"path": "data/corpus/passages.parquet", "md5": f"from {held['seed']}"},
                    {"path": "data", "md5": f"with {held['seed']}"},
                ],
                "params": {"params.yaml": {"train": held["train"], "base.name": held["base"]["name"]}},
            },
        }
        self.file("params.yaml", yaml.safe_dump(params, sort_keys=False))
        self.file("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))
        row = {"mono": mono, "cross": mono / 2, "language_bias": 100 * mono}
        tree = {"metric": "ndcg@10", "test": dict.fromkeys(models, row), "own": {"base": {"mono": mono}}}
        if summary:
            self.file("metrics/summary.json", json.dumps(tree))

    def file(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def commit(self, **changes):
        self.made += 1
        self.write(**changes)
        self.git("add", "-A")
        self.git("commit", "--allow-empty", "-qm", "x")

    def experiment(self, name, **changes):
        """An experiment on HEAD; the workspace is as before."""
        self.made += 1
        head = self.git("rev-parse", "HEAD")
        self.write(**changes)
        self.git("add", "-A")
        made = self.git("commit-tree", self.git("write-tree"), "-p", head, "-m", "x")
        self.git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", made)
        self.git("reset", "-q", "--hard")

    def compare(self, *options):
        self.monkeypatch.setattr(sys, "argv", ["compare", "--experiments", *options])
        experiments.main()


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    study = Study(tmp_path, monkeypatch)
    study.git("init", "-q", "-b", "main")
    study.commit(base__name="none")
    return study


def rows(printed, benchmark="test"):
    """Cells of a benchmark's table, its header first."""
    block = next(b for b in printed.split("\n\n") if b.startswith(f"{benchmark}: "))
    table = printed.split("\n\n")[printed.split("\n\n").index(block) + 1]
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    return [lines[0], *lines[2:]]


def test_seeds_are_one_row_with_mean_and_sample_deviation(study, capsys):
    for seed, mono in ((1, 0.50), (2, 0.53), (3, 0.59)):
        study.experiment(f"e{seed}", seed=seed, mono=mono)
    study.compare()
    printed = capsys.readouterr().out
    deviation = statistics.stdev([50, 53, 59])
    assert round(deviation, 1) == 4.6
    cells = ["54.0 ± 4.6", "27.0 ± 2.3", "-", "54.0 ± 4.6", "3"]
    assert rows(printed) == [
        ["model", "mono", "cross", "multi", "bias", "n"],
        ["base", *cells],
        ["koenen", *cells],
    ]
    assert "test: ndcg@10 x 100" in printed
    # A column of one character is marked as right-aligned all the same.
    assert printed.splitlines()[3].endswith("| -: |")
    assert "own: map@100 x 100" in printed
    assert rows(printed, "own") == [
        ["model", "mono", "cross", "multi", "bias", "n"],
        ["base", "54.0 ± 4.6", "-", "-", "-", "3"],
    ]


def test_only_the_keys_that_differ_are_columns(study, capsys):
    study.experiment("a", base__name="org/b-1.0", train__steps=10, mono=0.4)
    study.experiment("b", base__name="org/b-1.0", train__steps=9, mono=0.3)
    study.experiment("c", base__name="org/a", train__steps=9, mono=0.2)
    study.compare()
    header, *body = rows(capsys.readouterr().out)
    assert header[:3] == ["base.name", "train.steps", "model"]
    # By value: 9 before 10. One seed has no deviation.
    assert [line[:4] for line in body if line[2] == "base"] == [
        ["org/a", "9", "base", "20.0"],
        ["org/b-1.0", "9", "base", "30.0"],
        ["org/b-1.0", "10", "base", "40.0"],
    ]
    assert {line[-1] for line in body} == {"1"}


def test_a_group_that_some_lack_is_one_column(study, capsys):
    study.experiment("a", train__lora={"rank": 4, "alpha": 8})
    study.experiment("b", merges={"avg": {"weights": {"x": 1}}}, models=["base", "avg"])
    study.compare()
    header, *body = rows(capsys.readouterr().out)
    assert header[:2] == ["train.lora", "merges.avg"]
    assert [line[:3] for line in body] == [
        ["null", '{"weights": {"x": 1}}', "base"],
        ["null", '{"weights": {"x": 1}}', "avg"],
        ['{"rank": 4, "alpha": 8}', "-", "base"],
        ['{"rank": 4, "alpha": 8}', "-", "koenen"],
    ]


def test_the_last_run_of_equal_params_counts(study, capsys):
    study.experiment("zz", seed=2, mono=0.1)
    study.experiment("aa", seed=2, mono=0.2)
    study.compare()
    assert rows(capsys.readouterr().out)[1] == ["base", "20.0", "10.0", "-", "20.0", "1"]


def test_results_of_other_params_are_left_out_and_named(study, capsys, caplog):
    caplog.set_level("INFO")
    study.experiment("whole", mono=0.5)
    study.git("update-ref", "refs/exps/celery/stash", "HEAD")  # DVC's queue, no experiment
    study.experiment("other-seed", seed=3, locked={"seed": 1})
    study.experiment("other-base", base__name="a", locked={"base": {"name": "b"}})
    study.git("rm", "-q", "--cached", "metrics/summary.json")
    study.git("commit", "-qm", "without results")
    (study.folder / "metrics" / "summary.json").unlink()
    study.experiment("none", summary=False, seed=4)
    study.compare("--all")
    named = [r.getMessage().split(":")[1].split(",")[0].strip() for r in caplog.records]
    assert sorted(named) == ["none", "other-base", "other-seed"]
    assert [line[0] for line in rows(capsys.readouterr().out)] == ["model", "base", "koenen"]


def test_the_workspace_and_head_are_further_seeds_and_no_rows(study, capsys):
    study.commit(seed=1, mono=0.5)
    study.experiment("e", seed=2, mono=0.6)
    study.compare()
    assert rows(capsys.readouterr().out)[1] == ["base", "55.0 ± 7.1", "27.5 ± 3.5", "-", "55.0 ± 7.1", "2"]
    study.write(seed=3, mono=0.7)
    study.compare()
    assert rows(capsys.readouterr().out)[1][1::4] == ["60.0 ± 10.0", "3"]
    # A seed that an experiment has counts once.
    study.write(seed=2, mono=0.9)
    study.compare()
    assert rows(capsys.readouterr().out)[1][1::4] == ["55.0 ± 7.1", "2"]
    study.write(seed=3, mono=0.7, base__name="other")
    study.compare()
    assert len(rows(capsys.readouterr().out)) == 3
    # The same params, built by other code.
    study.write(seed=3, mono=0.7, code="b")
    study.compare()
    assert rows(capsys.readouterr().out)[1][-1] == "2"


def test_experiments_on_other_commits_are_asked_for(study, capsys):
    study.experiment("old", mono=0.1, code="a")
    study.experiment("two", mono=0.3, seed=2, code="a")
    before = study.git("rev-parse", "--short=7", "HEAD")
    study.commit(base__name="none", code="b")
    with pytest.raises(UserError, match=r"no finished experiments here.*--all"):
        study.compare()
    study.experiment("new", mono=0.2, code="b")
    study.compare()
    assert rows(capsys.readouterr().out)[1][:2] == ["base", "20.0"]
    study.compare("--all")
    header, *body = rows(capsys.readouterr().out)
    head = study.git("rev-parse", "--short=7", "HEAD")
    assert header[:2] == ["commit", "model"]
    assert {(line[0], line[2], line[-1]) for line in body} == {(before, "20.0 ± 14.1", "2"), (head, "20.0", "1")}
    # Commits between which neither code nor data changed are one, called by its first seed's.
    study.commit(base__name="still none", code="b")
    study.experiment("newer", mono=0.4, seed=2, code="b")
    study.compare("--all")
    assert [head, "base", "30.0 ± 14.1"] in [line[:3] for line in rows(capsys.readouterr().out)]


def test_a_benchmark_is_measured_alike_or_refused(study):
    study.experiment("a")
    study.experiment("b", benchmarks__own__metric="mrr@10", seed=2)
    with pytest.raises(UserError, match=r"^a measures own by map@100 and b by mrr@10, which do not compare"):
        study.compare()
    study.git(
        "update-ref", "-d", f"refs/exps/{study.git('rev-parse', 'HEAD')[:2]}/{study.git('rev-parse', 'HEAD')[2:]}/b"
    )
    study.experiment("c", compare__metric="mrr@10")
    with pytest.raises(UserError, match=r"a measures test by ndcg@10 and c by mrr@10"):
        study.compare()


def test_long_rows_are_written(study, capsys):
    study.experiment("a", seed=1, mono=0.25)
    study.experiment("b", seed=2, mono=0.5, base__name="x,y|z")
    study.experiment("z", seed=0, mono=0.5, base__name="x,y|z")
    study.compare("--csv", "out/long.csv")
    table = pl.read_csv("out/long.csv")
    assert table.columns == [
        "experiment",
        "commit",
        "seed",
        "base.name",
        "benchmark",
        "metric",
        "model",
        "measure",
        "value",
    ]
    head = study.git("rev-parse", "HEAD")
    assert table.filter(experiment="b", model="koenen").rows() == [
        ("b", head, 2, "x,y|z", "test", "ndcg@10", "koenen", measure, value)
        for measure, value in (("mono", 0.5), ("cross", 0.25), ("language_bias", 50.0))
    ]
    assert table.filter(benchmark="own").select("experiment", "metric", "value").rows() == [
        ("a", "map@100", 0.25),
        ("z", "map@100", 0.5),
        ("b", "map@100", 0.5),
    ]
    assert "| x,y\\|z " in capsys.readouterr().out
    assert {f.name for f in Path("out").iterdir()} == {"long.csv"}


def test_outside_of_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(sys, "argv", ["compare", "--experiments"])
    with pytest.raises(UserError, match="there is no commit here"):
        experiments.main()


BUILD = """
import json, pathlib
from stages.shared import yaml12
p = yaml12.load(pathlib.Path("params.yaml"))
row = {"mono": p["seed"] / 100, "cross": len(p["base"]["name"]) / 100}
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/summary.json").write_text(json.dumps({"test": {"base": row}}))
"""
GRAPH = {
    "stages": {
        "compare": {
            "cmd": "python build.py",
            "deps": ["build.py"],
            "params": ["seed", "base"],
            "metrics": [{"metrics/summary.json": {"cache": False}}],
        }
    }
}


def test_what_dvc_makes_is_found(study, capsys, caplog):
    """The names and places of refs and states are DVC's own, and may change with it."""
    caplog.set_level("INFO")
    paths = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(experiments.__file__).parents[2]),
        "DVC_NO_ANALYTICS": "1",
    }

    def dvc(*arguments):
        command = [sys.executable, "-m", "dvc", *arguments]
        subprocess.run(command, cwd=study.folder, env=os.environ | IDENTITY | paths, check=True, capture_output=True)

    dvc("init", "-q")
    for name in ("dvc.lock", "metrics/summary.json"):
        (study.folder / name).unlink()
    study.file("build.py", BUILD)
    study.file("dvc.yaml", yaml.safe_dump(GRAPH))
    study.file("params.yaml", yaml.safe_dump(PARAMS))
    study.git("add", "-A")
    study.git("commit", "-qm", "x")
    for seed in (1, 2):
        dvc("exp", "run", "-S", "base.name=intfloat/multilingual-e5-base", "-S", f"seed={seed}")
    dvc("exp", "run", "--queue", "-n", "later", "-S", "seed=3")
    study.compare()
    header, *body = rows(capsys.readouterr().out)
    assert header == ["model", "mono", "cross", "multi", "bias", "n"]
    assert body == [["base", "1.5 ± 0.7", "29.0 ± 0.0", "-", "-", "2"]]
    later = "left out: later, which has not started: `dvc queue start` runs it"
    assert [record.getMessage() for record in caplog.records if record.name == "compare"] == [later]
    study.git("commit", "--allow-empty", "-qm", "y")
    caplog.clear()
    with pytest.raises(UserError, match="no finished experiments here"):
        study.compare()
    assert later not in caplog.messages
    study.compare("--all")
    assert later in caplog.messages
