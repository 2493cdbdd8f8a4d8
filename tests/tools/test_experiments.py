"""experiments: finished experiments side by side, seeds taken together, and nothing that was not finished."""

import copy
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from stages import score
from stages.schemas.scores import QUERY_SCORES
from stages.shared import tables
from stages.shared.errors import UserError
from stages.shared.tasks import task_groups
from tools import experiments

PARAMS = {
    "seed": 1,
    "languages": ["en", "ko"],
    "base": {"name": "static"},
    "train": {"steps": 8, "lora": None},
    "recipes": {"koenen": {"negatives": "window"}},
    "merges": {},
    "benchmarks": {"test": {"source": "held-out"}, "own": {"source": "beir", "metric": "map@100"}},
    "score": {"metrics": ["ndcg@10", "mrr@10"]},
    "compare": {"metric": "ndcg@10", "select_on": "dev", "confidence": 0.9, "resamples": 200, "correction": "holm"},
}
MEASURED = {"ndcg@10": 1.0, "mrr@10": 0.5}
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

    def write(self, mono=0.5, code="a", locked=None, models=("base", "koenen"), summary=True, stages=(), **changes):
        """Write params with `changes` (`base__name="x"`), a lock that says so, with more `stages`, and a summary."""
        params = copy.deepcopy(PARAMS)
        for key, value in changes.items():
            *groups, last = key.split("__")
            group = params
            for name in groups:
                group = group[name]
            group[last] = value
        held = params | (locked or {})
        stages = dict(stages) | {
            "corpus": {
                "deps": [{"path": "stages/corpus.py", "md5": f"code {code}"}],
                "params": {"params.yaml": {"seed": held["seed"]}},
                "outs": [{"path": "data/corpus", "md5": f"from {held['seed']}"}],
            },
            # Of a recipe that is gone: DVC keeps it.
            "train@old": {"deps": [{"path": "stages/old.py", "md5": "old"}], "params": {"params.yaml": {"seed": 99}}},
            "compare": {
                "deps": [
                    {"path": "stages/compare.py", "md5": "new"},
                    {"path": "data/corpus/passages.parquet", "md5": f"from {held['seed']}"},
                    {"path": "data", "md5": f"with {held['seed']}"},
                ],
                "params": {"params.yaml": {"train": held["train"], "base.name": held["base"]["name"]}},
            },
        }
        self.file("params.yaml", yaml.safe_dump(params, sort_keys=False))
        lock = {"schema": "2.0", "stages": {stage: {"cmd": "true"} | held for stage, held in stages.items()}}
        self.file("dvc.lock", yaml.safe_dump(lock))
        row = {"mono": mono, "cross": mono / 2, "language_bias": 100 * mono}
        tree = {"metric": "ndcg@10", "test": dict.fromkeys(models, row), "own": {"base": {"mono": mono}}}
        if summary:
            self.file("metrics/summary.json", json.dumps(tree))

    def measured(self, shift=0.0, queries=range(20), metrics=MEASURED, workspace=False):
        """Stages for `write` whose scores are in DVC's cache, or in the workspace; metrics/models says them, too.

        `koenen` has `shift` more than `base` on each of `queries` in en-en, twice that in ko-ko; `metrics` are these
        many times that.
        """
        files = {}
        for model in ("base", "koenen"):
            rows = [
                ("test", task, f"q{i}", metric, scale * (i % 7 / 10 + (weight * shift if model == "koenen" else 0)))
                for task, weight in (("en-en", 1), ("ko-ko", 2))
                for metric, scale in metrics.items()
                for i in queries
            ]
            values = pl.DataFrame(rows, QUERY_SCORES, orient="row")
            means = score.summary(values, task_groups(["en", "ko"])) | {"own": {"en-en": {"mrr@10": 0.5}}}
            tables.write_json(means, self.folder / f"metrics/models/{model}.json")
            table = self.folder / f"data/scores/{model}.parquet"
            tables.write(values, table, QUERY_SCORES)
            files[table.name] = table.read_bytes()
            if not workspace:
                table.unlink()
        listed = [{"md5": self.kept(content), "relpath": name} for name, content in sorted(files.items())]
        out = {"path": "data/scores", "hash": "md5", "md5": self.kept(json.dumps(listed).encode(), ".dir")}
        return {"score": {"outs": [out | {"nfiles": len(files)}]}}

    def kept(self, content, suffix=""):
        """The digest by which DVC's cache now holds `content`."""
        digest = hashlib.md5(content).hexdigest() + suffix
        cached = self.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_bytes(content)
        return digest

    def file(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
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
        self.monkeypatch.setattr(sys, "argv", ["experiments", *options])
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


@pytest.fixture
def cached(study):
    """A study whose scores DVC keeps."""
    study.file("dvc.yaml", yaml.safe_dump({"stages": {"score": {"cmd": "true", "outs": ["data/scores"]}}}))
    study.file(".gitignore", "/data\n/.dvc/cache\n/.dvc/tmp\n")
    study.file(".dvc/config", "[core]\n    analytics = false\n")
    study.commit(base__name="none")
    return study


def block(printed, title):
    """Cells of the table whose title begins with `title`."""
    return rows(printed.replace(title, "wanted: "), "wanted")


def test_metrics_are_columns_of_a_table_for_each_group(study, capsys):
    study.experiment("a", seed=1, stages=study.measured(0.1))
    study.experiment("b", seed=2, stages=study.measured(0.2))
    study.compare("--metrics", "mrr@10", "ndcg@10", "--csv", "long.csv")
    printed = capsys.readouterr().out
    titles = [line for line in printed.splitlines() if line and not line.startswith("|")]
    assert titles == ["test, mono: x 100, mean ± deviation over n seeds"]
    # i % 7 / 10 over 20 queries is 28.5; koenen has 1.5 x 10 and 1.5 x 20 more, the mean of 1 and 2 times that.
    assert block(printed, "test, mono: ") == [
        ["model", "mrr@10", "ndcg@10", "n"],
        ["base", "14.2 ± 0.0", "28.5 ± 0.0", "2"],
        ["koenen", "25.5 ± 5.3", "51.0 ± 10.6", "2"],
    ]
    table = pl.read_csv("long.csv").filter(model="koenen", experiment="b")
    assert table.select("seed", "metric", "measure", "value").rows() == [
        (2, metric, measure, value)
        for measure, value in (("en-en", 0.485), ("ko-ko", 0.685), ("mono", 0.585))
        for metric, value in (("mrr@10", value / 2), ("ndcg@10", value))
    ]


def test_a_metric_that_was_not_scored_is_named(study, capsys):
    study.experiment("a", stages=study.measured())
    with pytest.raises(UserError, match=r"^accuracy@1 was not scored: add it to score.metrics, which has ndcg@10, mrr"):
        study.compare("--metrics", "mrr@10", "accuracy@1")
    # What some have is a column, in which the others have nothing.
    study.experiment("b", score__metrics=["mrr@10"], stages=study.measured(metrics={"mrr@10": 0.5}))
    study.compare("--metrics", "mrr@10", "ndcg@10")
    header, *body = block(capsys.readouterr().out, "test, mono: ")
    assert header == ["score.metrics", "model", "mrr@10", "ndcg@10", "n"]
    assert [line for line in body if line[1] == "base"] == [
        ['["mrr@10"]', "base", "14.2", "-", "1"],
        ['["ndcg@10", "mrr@10"]', "base", "14.2", "28.5", "1"],
    ]


def test_experiments_that_measure_differently_compare_by_named_metrics(study, capsys):
    study.experiment("a", stages=study.measured())
    study.experiment("b", compare__metric="mrr@10", stages=study.measured())
    study.compare("--metrics", "mrr@10")
    assert [line[:3] for line in block(capsys.readouterr().out, "test, mono: ")] == [
        ["compare.metric", "model", "mrr@10"],
        ["mrr@10", "base", "14.2"],
        ["mrr@10", "koenen", "14.2"],
        ["ndcg@10", "base", "14.2"],
        ["ndcg@10", "koenen", "14.2"],
    ]


def test_models_are_tested_on_the_queries_of_all_seeds(cached, capsys):
    """The workspace is a third seed; the queries that it asks are not all those of the others."""
    cached.experiment("a", seed=1, stages=cached.measured(0.1))
    cached.experiment("b", seed=2, stages=cached.measured(-0.02))
    cached.write(seed=3, stages=cached.measured(0.1, queries=range(10, 40), workspace=True))
    cached.compare("--against", "base", "--csv", "long.csv")
    printed = capsys.readouterr().out
    title = (
        "test: difference from base x 100, paired on queries; p corrected by holm over these rows; of how many seeds"
    )
    header, *body = block(printed, title)
    assert header == ["tasks", "metric", "model", "difference", "90 %", "p", "corrected", "queries", "seeds"]
    # Ten queries have (10 - 2) / 2 x 1.5, ten the mean of all three, twenty 10 x 1.5.
    expected = 150 * (10 * 0.04 + 10 * 0.06 + 20 * 0.1) / 40
    assert [line[:4] + line[7:] for line in body] == [
        ["mono", "ndcg@10", "koenen", f"{expected:+.1f}", "40", "2 of 3"],
    ]
    tests = pl.read_csv("long.csv").filter(pl.col("statistic").is_not_null())
    assert set(tests["against"]) == {"base"}
    found = dict(tests.filter(benchmark="test").select("statistic", "value").rows())
    assert found["difference"] == pytest.approx(expected / 100)
    assert found["low"] < found["difference"] < found["high"]
    assert (found["queries"], found["seeds"], found["same_sign"]) == (40, 3, 2)
    assert found["p"] == found["p_corrected"] == float(body[0][5])
    assert tests.select("experiment", "seed").unique().rows() == [(None, None)]
    cached.compare("--against", "koenen", "--metrics", "ndcg@10", "mrr@10")
    header, *body = block(capsys.readouterr().out, title.replace("base", "koenen"))
    assert [line[1:4] for line in body] == [
        ["ndcg@10", "base", f"{-expected:+.1f}"],
        ["mrr@10", "base", f"{-expected / 2:+.1f}"],
    ]
    assert [float(line[6]) for line in body] == pytest.approx([2 * found["p"]] * 2, rel=0.01)


def test_each_set_of_params_is_tested_by_itself(cached, capsys):
    for name, seed, steps, shift in (("a", 1, 8, 0.2), ("b", 2, 8, 0.4), ("c", 1, 9, -0.1)):
        cached.experiment(name, seed=seed, train__steps=steps, stages=cached.measured(shift))
    cached.compare("--against", "base")
    header, *body = block(capsys.readouterr().out, "test: difference from base x 100")
    assert header[:4] == ["train.steps", "tasks", "metric", "model"]
    assert [line[:1] + line[3:5] + line[8:] for line in body] == [
        ["8", "koenen", "+45.0", "20", "2 of 2"],
        ["9", "koenen", "-15.0", "20", "1 of 1"],
    ]


def test_what_cannot_be_tested_is_said(cached):
    cached.experiment("a", stages=cached.measured())
    with pytest.raises(UserError, match=r"^--against random: no experiment has such a model, they have base, koenen$"):
        cached.compare("--against", "random")
    shutil.rmtree(cached.folder / ".dvc/cache/files")
    with pytest.raises(UserError) as error:
        cached.compare("--against", "base")
    assert "data/scores/base.parquet of a is in neither DVC's cache nor its remote" in str(error.value)
    assert "get it with `dvc exp pull <remote of Git> a` from where it was built, or build it again" in str(error.value)


def index(seed, digest="new"):
    """A stage that `compare` is not made of: it was built with this seed."""
    return {"deps": [{"path": "data/corpus", "md5": digest}], "params": {"params.yaml": {"seed": seed}}}


def test_what_compare_is_not_made_of_may_be_old(study, capsys, caplog):
    caplog.set_level("INFO")
    answers = {"indexes": {"kb": {"model": "models/base"}}}
    study.experiment("a", seed=1, stages={"index@kb": index(1), "report": index(1)}, **answers)
    study.experiment("b", seed=2, stages={"index@kb": index(1, "old"), "report": index(7)}, **answers)
    study.compare()
    assert rows(capsys.readouterr().out)[1][-1] == "2"
    assert not caplog.records
    # But not what it is made of, and not as it was before that was built again.
    study.experiment("c", seed=3, stages={"score": index(1) | {"outs": [{"path": "data", "md5": "with 3"}]}}, **answers)
    study.experiment("d", seed=4, stages={"score": index(4) | {"outs": [{"path": "data", "md5": "with 9"}]}}, **answers)
    study.experiment(
        "e", seed=5, stages={"score": index(5, "from 5") | {"outs": [{"path": "data", "md5": "with 5"}]}}, **answers
    )
    study.compare()
    assert rows(capsys.readouterr().out)[1][-1] == "3"
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["left out: c", "left out: d"]


def test_a_number_that_was_swept_is_drawn(study):
    for steps in (12, 4, 8):
        study.experiment(f"s{steps}", train__steps=steps, mono=steps / 20)
    study.compare("--chart", "koenen", "test", "steps.svg")
    drawn = Path("steps.svg").read_text()
    assert "koenen on test, over train.steps" in drawn
    places = [
        drawn.index(f"<title>{steps}: {told}</title>") for steps, told in ((4, "20.0"), (8, "40.0"), (12, "60.0"))
    ]
    assert places == sorted(places)
    # base differs with it as well, and is no line across.
    assert 'class="beside"' not in drawn


def test_what_cannot_be_drawn_is_said(study):
    for steps in (4, 8):
        study.experiment(f"s{steps}", train__steps=steps)
    for words, said in (
        (("nobody", "test"), "has measured that, but base, koenen"),
        (("base", "elsewhere"), "nothing on elsewhere"),
    ):
        with pytest.raises(UserError, match=said):
            study.compare("--chart", *words, "x.svg")
    study.experiment("other", train__steps=8, base__name="org/a")
    with pytest.raises(UserError, match=r"over one number, but the experiments differ in base\.name, train\.steps"):
        study.compare("--chart", "base", "test", "x.svg")
    assert not Path("x.svg").exists()


def test_outside_of_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(sys, "argv", ["experiments"])
    with pytest.raises(UserError, match="there is no commit here"):
        experiments.main()


BUILD = """
import json, pathlib
import polars as pl
from stages.schemas.scores import QUERY_SCORES
from stages.shared import tables
from stages.settings import yaml12
p = yaml12.load(pathlib.Path("params.yaml"))
row = {"mono": p["seed"] / 100, "cross": len(p["base"]["name"]) / 100}
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/summary.json").write_text(json.dumps({"test": {"base": row, "koenen": row}}))
for model, more in (("base", 0), ("koenen", p["seed"] / 10)):
    rows = [("test", "en-ko", f"q{i}", "ndcg@10", i / 10 + more) for i in range(4)]
    table = pl.DataFrame(rows, QUERY_SCORES, orient="row")
    tables.write(table, f"data/scores/{model}.parquet", QUERY_SCORES)
"""
GRAPH = {
    "stages": {
        "compare": {
            "cmd": "python build.py",
            "deps": ["build.py"],
            "params": ["seed", "base"],
            "outs": ["data/scores"],
            "metrics": [{"metrics/summary.json": {"cache": False}}],
        }
    }
}


@pytest.mark.slow
def test_what_dvc_makes_is_found(study, capsys, caplog):
    """The names and places of refs and states are DVC's own, and may change with it."""
    caplog.set_level("INFO")
    paths = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(experiments.__file__).parents[1]),
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
    assert body == [[model, "1.5 ± 0.7", "29.0 ± 0.0", "-", "-", "2"] for model in ("base", "koenen")]
    # The workspace is as the last of them left it, and not asked.
    shutil.rmtree(study.folder / "data")
    study.compare("--against", "base")
    header, *body = block(capsys.readouterr().out, "test: difference from base x 100")
    assert [body[0][i] for i in (0, 2, 3, 7, 8)] == ["cross", "koenen", "+15.0", "4", "2 of 2"]
    later = "left out: later, which has not started: `python -m tools.queued` runs it"
    assert {record.getMessage() for record in caplog.records if record.name == "experiments"} == {later}
    study.git("commit", "--allow-empty", "-qm", "y")
    caplog.clear()
    with pytest.raises(UserError, match="no finished experiments here"):
        study.compare()
    assert later not in caplog.messages
    study.compare("--all")
    assert later in caplog.messages
