"""Sweeps: what fits is queued, all of it or nothing."""

import hashlib
import re
import subprocess
import sys

import pytest
import yaml

from stages.check import params
from stages.settings import yaml12
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.tools.conftest import git, study
from tools import sweep as stage

pytestmark = pytest.mark.slow


@pytest.fixture
def sweep(repository, monkeypatch):
    """Call it with an overlay and the words after --queue; `given` then holds the commands that DVC was given."""
    real, given = subprocess.run, []

    def run(command, **options):
        if "dvc" not in command:
            return real(command, **options)
        given.append(command)
        return subprocess.CompletedProcess(command, 0)

    def queue(overlay, *words):
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", run)
            study(repository, overlay, "--queue", *words)

    queue.given = given
    return queue


@pytest.mark.parametrize("words", [["train.steps=7,8", "seed=1,2,3"], ["train.steps=7,8 seed=1,2,3"]])
def test_each_combination_is_an_experiment(sweep, capsys, words):
    sweep("compare: {resamples: 9}\n", *words)
    assert [command[1:] for command in sweep.given] == [
        ["-m", "dvc", "exp", "run", "--queue", "-S", "train.steps=7,8", "-S", "seed=1,2,3"]
    ]
    printed = capsys.readouterr().out.splitlines()
    assert printed[-3].startswith("6 experiments queued")
    assert printed[-2:] == ["  python -m tools.queued", "  python -m tools.experiments"]
    # What the sweep varies is the study; none of its values is left behind.
    assert params.load().compare.resamples == 9
    assert params.load().train.steps == 60


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("base.name=intfloat/multilingual-e5-base,BAAI/bge-m3", ["intfloat/multilingual-e5-base", "BAAI/bge-m3"]),
        ("base.name=../models/e5.v1,/data/m-1.0", ["../models/e5.v1", "/data/m-1.0"]),
        ("report.title='a, b: c','d'", ["a, b: c", "d"]),
        ('report.title="it\'s"', ["it's"]),
        ("train.learning_rate=2e-5,1e-05", [2e-5, 1e-5]),
        ("base.revision=null,'null',0123abc", [None, "null", "0123abc"]),
        ("recipes.koenen.compositions=[koenen,kokoko],[koenen]", [["koenen", "kokoko"], ["koenen"]]),
        (
            "+recipes.new={compositions:[enenen],negatives:window}",
            [{"compositions": ["enenen"], "negatives": "window"}],
        ),
        ("~merges.avg-four", [None]),
        ("seed=range(3,6)", [3, 4, 5]),
        ("merges.avg-koenen-kokoko.weights.koenen=0.5,0.75", [0.5, 0.75]),
    ],
)
def test_values_arrive_as_they_are_written(repository, monkeypatch, setting, values):
    seen = []
    monkeypatch.setattr(stage, "_check_params", lambda file, run: seen.append(yaml12.load(file)) or set())
    assert len(stage.combinations(repository.params.read_text(encoding="utf-8"), [setting]).runs) == len(values)

    def at(tree):
        for part in re.sub(r"^[+~]*", "", setting).split("=")[0].split("."):
            tree = tree.get(part)
        return tree

    assert [at(tree) for tree in seen] == values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["base.nme=a"], r"^params\.yaml has no base\.nme \(did you mean name\?\): nothing was queued"),
        (["seed=1,2", "recipes.koenn.negatives=a"], r"has no recipes\.koenn\.negatives \(did you mean koenen\?\)"),
        (["seed.x=1"], r"has no seed\.x"),
        (["seed"], "'seed' is no KEY=A,B"),
        (["report.title=a b,c"], "'b,c' is no KEY=A,B"),
        (["report.title='a b"], "is no KEY=A,B"),
        (["seed=1,2,"], r"'seed=1,2,' is no sweep \(.*write KEY=A,B"),
        (["+seed=2"], r"'\+seed=2' is no sweep \(.*already"),
        (["train.steps=60,many"], r"with train\.steps=many, params\.yaml: train\.steps is 'many'"),
        (["train.steps=60", "seed=1,-1"], r"with train\.steps=60 seed=-1, params\.yaml: seed is -1"),
        (["+train.stepz=6"], r"params\.yaml: unknown key train\.stepz \(did you mean steps\?\)"),
        (["~recipes.koenen"], "names 'koenen', which no recipe or merge makes"),
        (["negatives.window.k=5,500"], r"with negatives\.window\.k=500, .*must hold at least k = 500"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_queued(repository, sweep, words, message):
    before = repository.params.read_bytes()
    with pytest.raises(UserError, match=message):
        sweep("report: {title: x}\n", *words)
    assert sweep.given == []
    assert repository.params.read_bytes() == before


def test_files_that_an_experiment_would_not_see_are_named(repository, sweep):
    (repository.path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    outside = repository.path.parents[1] / "outside"
    for folder in (repository.path / "mine", outside):
        folder.mkdir()
        (folder / "p.jsonl").write_text("{}")
    # DVC has a folder of its own where experiments would look for the last.
    (repository.path.parent / "cache").mkdir()
    for path in ("mine/p.jsonl", "../../outside", "..", "../cache"):
        whole = re.escape(str((repository.path / path).resolve()))
        with pytest.raises(UserError, match=rf"^benchmarks\.b\.path is {path}, which .*: write {whole}, or"):
            sweep(f"benchmarks: {{b: {{source: beir, path: {path}}}}}\n", "seed=1,2")
    with pytest.raises(UserError, match=r"^base\.name is mine, which queued experiments do not see"):
        sweep("train: {steps: 9}\n", "base.name=static,mine")
    assert sweep.given == []
    # An absolute path is seen, as are what Git knows and what a stage makes.
    for made in ("data/corpus", "data/fetch/b"):
        (repository.path / made).mkdir(parents=True)
    git("add", "mine/p.jsonl")
    sweep(
        f"benchmarks: {{a: {{source: beir, path: {outside}}}, b: {{source: beir, path: data/fetch/b}}, "
        "c: {source: beir, path: mine}}\n",
        "seed=1,2",
    )
    assert len(sweep.given) == 1


def test_dvc_queues_what_the_sweep_says(repository, monkeypatch, capfd):
    """For real: what a queued experiment holds is DVC's affair."""
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    (repository.path / "dvc.yaml").write_text("stages:\n  s:\n    cmd: x\n    params: [seed, base]\n")
    git("add", "-A")
    git("commit", "-m", "y")
    study(repository, "train: {steps: 7}\n", "--queue", "base.name=intfloat/multilingual-e5-base,BAAI/bge-m3 seed=4")
    assert "2 experiments queued" in capfd.readouterr().out

    def said(*command):
        return subprocess.run(["git", *command], check=True, capture_output=True, encoding="utf-8").stdout

    commits = said("log", "-g", "--format=%H", "refs/exps/celery/stash").split()
    held = [yaml.load(said("show", f"{commit}:params.yaml"), yaml12.Loader) for commit in commits]
    assert sorted((h["base"]["name"], h["seed"], h["train"]["steps"]) for h in held) == [
        ("BAAI/bge-m3", 4, 7),
        ("intfloat/multilingual-e5-base", 4, 7),
    ]


def test_a_queued_experiment_finds_what_lies_beside_the_checkout(repository):
    """Likewise: where its own checkout lies."""
    (repository.path.parent / "outside").mkdir()
    (repository.path.parent / "outside/p.jsonl").write_text("{}")
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "-q"], check=True)
    reads = {"cmd": "cat ../outside/p.jsonl > seen", "deps": ["../outside"], "outs": ["seen"]}
    (repository.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"s": reads}}))
    git("add", "-A")
    git("commit", "-m", "y")
    study(repository, "benchmarks: {b: {source: beir, path: ../outside}}\n", "--queue", "seed=4")
    subprocess.run([*dvc, "exp", "run", "--run-all"], check=True, capture_output=True)
    made = subprocess.run(["git", "for-each-ref", "--format=%(refname)", "refs/exps/"], check=True, capture_output=True)
    refs = [ref for ref in made.stdout.decode().split() if "celery" not in ref]
    assert len(refs) == 1
    lock = subprocess.run(["git", "show", f"{refs[0]}:dvc.lock"], check=True, capture_output=True).stdout
    assert yaml.safe_load(lock)["stages"]["s"]["outs"][0]["md5"] == hashlib.md5(b"{}").hexdigest()
    link = repository.path / ".dvc/tmp/exps/outside"
    assert link.resolve() == repository.path.parent / "outside"
    # One that leads elsewhere is replaced, one that is right stays; what is no link is not touched.
    for target, is_kept in (("elsewhere", False), ("../../../../outside", True)):
        link.unlink()
        link.symlink_to(target)
        stage._show({"outside"})
        assert link.resolve() == repository.path.parent / "outside"
        assert (str(link.readlink()) == target) == is_kept
    link.unlink()
    link.mkdir()
    with pytest.raises(UserError, match=r"cannot lead queued experiments to \.\./outside \(.*\): write absolute paths"):
        stage._show({"outside"})
    assert not list(link.parent.glob("outside.*"))


def test_a_queue_that_dvc_refuses_is_said(repository, monkeypatch):
    with pytest.raises(UserError, match="DVC did not queue all experiments"):
        study(repository, "train: {steps: 7}\n", "--queue", "seed=1,2")


def test_an_identity_is_asked_for_before_anything_is_queued(repository, sweep, monkeypatch):
    before = repository.params.read_bytes()
    monkeypatch.setenv("HOME", str(repository.path))
    with pytest.raises(UserError, match=r"Git does not know who you are: tell it with `git config --global user\.name"):
        sweep("train: {steps: 7}\n", "seed=1,2")
    assert sweep.given == [] and repository.params.read_bytes() == before
    # The environment does as well.
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "t@example.org")
    sweep("train: {steps: 7}\n", "seed=1,2")
    assert len(sweep.given) == 1
