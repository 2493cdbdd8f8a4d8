"""study: an overlay changes what it names, keeps the rest to the letter, and never runs over an edit; a sweep queues
what fits, all of it or nothing. The shipped studies fit."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.check import params
from stages.settings import yaml12
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tools import study as stage


def git(*arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(workspace, monkeypatch):
    """A repository of its own, with params.yaml committed."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(workspace.path.parent))
    git("init")
    git("add", "params.yaml")
    git("commit", "-m", "x")
    return workspace


def study(workspace, text, name="s"):
    folder = workspace.path / "studies"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    workspace.run("study", name)


def lines(workspace):
    return workspace.params.read_text(encoding="utf-8").splitlines()


def test_one_key_changes_one_line_and_is_printed(repository, capsys):
    before = lines(repository)
    study(repository, "train:\n  steps: 7\n")
    after = lines(repository)
    assert len(after) == len(before)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(changed) == 1
    assert changed[0][1].split("#")[0].split() == ["steps:", "7"]
    assert changed[0][1].split("#")[1] == changed[0][0].split("#")[1]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "train.steps: 60 -> 7"
    assert printed[1].startswith("1 keys changed")


def test_values_equal_to_the_default_change_nothing(repository, capsys):
    before = lines(repository)
    study(repository, "train: {steps: 60, learning_rate: 3e-3}\nlanguages: [en, ko]\n")
    assert lines(repository) == before
    assert capsys.readouterr().out.startswith("0 keys changed")


def test_values_arrive_with_their_types(repository, capsys):
    study(
        repository,
        "train: {learning_rate: 2e-05}\n"
        "corpus: {limit: 5, columns: {stratum: null}}\n"
        "base: {prompts: {query: 'q: ', passage: 'p: '}}\n"
        "benchmarks: {no-en: {source: beir, path: x}}\n"
        "report: {title: 'yes'}\n",
    )
    found = params.load()
    assert found.train.learning_rate == 2e-5
    assert found.corpus.limit == 5
    assert found.corpus.columns.stratum is None
    assert (found.base.prompts.query, found.base.prompts.passage) == ("q: ", "p: ")
    assert found.benchmarks["no-en"].path == "x"
    assert found.report.title == "yes"
    assert found.train.steps == 60
    printed = capsys.readouterr().out
    assert "corpus.limit: None -> 5" in printed
    assert "benchmarks.no-en: absent -> " in printed


def test_null_removes_what_a_study_names_and_only_that(repository, capsys):
    study(repository, "recipes: {joint: null, enenko: null}\ncorpus: {columns: {title: null}}\n")
    found = params.load()
    assert "joint" not in found.recipes
    assert len(found.recipes) == 7
    assert found.corpus.columns.title is None
    assert "removed" in capsys.readouterr().out
    # Removing what is not there is no change.
    git("commit", "-am", "y")
    study(repository, "recipes: {joint: null}\n")
    assert capsys.readouterr().out.startswith("0 keys changed")


def test_edits_that_are_not_committed_are_not_run_over(repository):
    repository.params.write_text(
        repository.params.read_text(encoding="utf-8").replace("seed: 1 ", "seed: 2 "), encoding="utf-8"
    )
    before = lines(repository)
    with pytest.raises(UserError, match="edits that are not committed"):
        study(repository, "train: {steps: 7}\n")
    git("add", "params.yaml")
    with pytest.raises(UserError, match="edits that are not committed"):
        study(repository, "train: {steps: 7}\n")
    assert lines(repository) == before


def test_a_study_that_is_applied_already_is_applied_again(repository, capsys):
    study(repository, "train: {steps: 7}\nrecipes: {joint: null}\n")
    after, said = lines(repository), capsys.readouterr().out
    study(repository, "train: {steps: 7}\nrecipes: {joint: null}\n")
    assert (lines(repository), capsys.readouterr().out) == (after, said)
    with pytest.raises(UserError, match="edits that are not committed"):
        study(repository, "train: {steps: 8}\n")
    assert lines(repository) == after


def test_outside_of_git_there_is_no_way_back(workspace, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(workspace.path.parent))
    with pytest.raises(UserError, match="is not in Git"):
        study(workspace, "train: {steps: 7}\n")


def test_a_file_that_git_does_not_know_has_no_way_back(workspace, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(workspace.path.parent))
    git("init")
    git("commit", "--allow-empty", "-m", "x")
    before = lines(workspace)
    with pytest.raises(UserError, match="is not in Git"):
        study(workspace, "train: {steps: 7}\n")
    assert lines(workspace) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {stepz: 7}\n", r"unknown key train\.stepz \(did you mean steps\?\)"),
        ("train: {steps: many}\n", r"train\.steps is 'many'"),
        ("recipes: {koenen: null}\n", "names 'koenen', which no recipe makes"),
        ("train: {steps: 7, steps: 8}\n", "s.yaml is not YAML: the key 'steps' stands twice"),
        ("- train\n", "must hold groups of keys"),
    ],
)
def test_an_overlay_that_does_not_fit_leaves_the_file_alone(repository, text, message):
    before = repository.params.read_bytes()
    with pytest.raises(UserError, match=message):
        study(repository, text)
    assert repository.params.read_bytes() == before
    assert {f.name for f in repository.path.iterdir()} == {".git", "params.yaml", "studies"}


def test_an_unknown_study_is_told_the_known_ones(repository):
    study(repository, "train: {steps: 60}\n", "one")
    with pytest.raises(UserError, match=r"there is no studies/two\.yaml: the studies are one"):
        repository.run("study", "two")
    with pytest.raises(UserError, match="name one study: one"):
        repository.run("study")


def test_a_study_can_be_applied_upon_a_committed_one(repository):
    study(repository, "train: {steps: 7}\n", "one")
    git("commit", "-am", "y")
    study(repository, "train: {batch_size: 9}\n", "two")
    tree = yaml12.load(repository.params)
    assert (tree["train"]["steps"], tree["train"]["batch_size"]) == (7, 9)


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
        (repository.path / "studies").mkdir(exist_ok=True)
        (repository.path / "studies" / "s.yaml").write_text(overlay, encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", run)
            repository.run("study", "s", "--queue", *words)

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
    assert printed[-2:] == ["  dvc queue start", "  python -m stages.compare --experiments"]
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
    monkeypatch.setattr(stage, "_check_params", lambda file, run: seen.append(yaml12.load(file)))
    assert len(stage.combinations(repository.params.read_text(encoding="utf-8"), [setting])) == len(values)

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
        (["~recipes.koenen"], "names 'koenen', which no recipe makes"),
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
    outside = repository.path.parent / "outside"
    for folder in (repository.path / "mine", outside):
        folder.mkdir()
        (folder / "p.jsonl").write_text("{}")
    for path in ("mine/p.jsonl", "../outside"):
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
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    (repository.path / "dvc.yaml").write_text("stages:\n  s:\n    cmd: x\n    params: [seed, base]\n")
    git("add", "-A")
    git("commit", "-m", "y")
    (repository.path / "studies").mkdir()
    (repository.path / "studies" / "s.yaml").write_text("train: {steps: 7}\n")
    repository.run("study", "s", "--queue", "base.name=intfloat/multilingual-e5-base,BAAI/bge-m3 seed=4")
    assert "2 experiments queued" in capfd.readouterr().out

    def said(*command):
        return subprocess.run(["git", *command], check=True, capture_output=True, encoding="utf-8").stdout

    commits = said("log", "-g", "--format=%H", "refs/exps/celery/stash").split()
    held = [yaml.load(said("show", f"{commit}:params.yaml"), yaml12.Loader) for commit in commits]
    assert sorted((h["base"]["name"], h["seed"], h["train"]["steps"]) for h in held) == [
        ("BAAI/bge-m3", 4, 7),
        ("intfloat/multilingual-e5-base", 4, 7),
    ]


def test_a_queue_that_dvc_refuses_is_said(repository, monkeypatch):
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    (repository.path / "studies").mkdir()
    (repository.path / "studies" / "s.yaml").write_text("train: {steps: 7}\n")
    with pytest.raises(UserError, match="DVC did not queue all experiments"):
        repository.run("study", "s", "--queue", "seed=1,2")


def test_make_hands_over_the_sweep_as_it_is(tmp_path):
    """Quotes, brackets and blanks reach the command; without a sweep the study is built."""
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".venv" / "installed").touch()
    for tool in ("python", "dvc"):
        (tools / tool).write_text(f"""#!/bin/sh\nprintf {tool} >> log; printf '|%s' "$@" >> log; echo >> log\n""")
        (tools / tool).chmod(0o755)

    def log(*arguments):
        (tmp_path / "log").unlink(missing_ok=True)
        env = {"PATH": os.environ["PATH"]}
        subprocess.run(["make", "study", *arguments], cwd=tmp_path, env=env, check=True, capture_output=True)
        return (tmp_path / "log").read_text().splitlines()

    text = "base.name=a/b,c-1.0 report.title='x, y',\"z\" recipes.r.compositions=[a,b],[c]"
    assert log("STUDY=docs", f"SWEEP={text}") == [f"python|-m|tools.study|docs|--queue|{text}"]
    assert log("STUDY=docs") == [
        "python|-m|tools.study|docs",
        "python|-m|tools.tidy",
        "dvc|repro",
        "python|-m|tools.results",
    ]


STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
DEFAULT = (ROOT / "params.yaml").read_text(encoding="utf-8")


def merged(overlay):
    """The default study with `overlay` applied, as a tree."""
    return yaml.load(stage.merged(DEFAULT, overlay)[0], yaml12.Loader)


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_shipped_study_fits_and_is_small_enough_for_dvc(file):
    tree = merged(yaml12.load(file))
    params.validate(tree)
    stages = yaml12.load(ROOT / "dvc.yaml")["stages"].values()
    groups = [body.get("foreach", "").removeprefix("${").removesuffix("}") for body in stages]
    assert sum(len(tree[group]) if group else 1 for group in groups) < 80
    # What is downloaded is pinned, and something reads it.
    paths = [tree["corpus"]["path"], *(benchmark["path"] for benchmark in tree["benchmarks"].values())]
    for name, fetched in tree["fetch"].items():
        assert re.fullmatch(r"[0-9a-f]{40}", fetched["revision"])
        assert any(Path("data/fetch", name).is_relative_to(path) for path in paths)


def test_the_paper_study_is_the_paper():
    found = params.validate(merged(yaml12.load(ROOT / "studies" / "paper-ko-en.yaml")))
    assert [recipe.compositions for recipe in found.recipes.values()] == [[name] for name in found.recipes]
    assert set(found.recipes) == {f"{q}{p}{n}" for q in ("en", "ko") for p in ("en", "ko") for n in ("en", "ko")}
    window = found.negatives["window"]
    assert (window.k, window.rank_min, window.rank_max, found.candidates.depth) == (5, 50, 300, 300)
    assert window.relative_margin is not None
    assert found.teacher.name != "base"
    assert (found.corpus.source, found.synthesize.topics.taxonomy) == ("none", "kdc")
    assert found.compare.metric == "ndcg@10"
    assert {"belebele", "strategyqa"} < set(found.benchmarks)
    # Each model of a cross-lingual pair of query and positive is merged with each mono-lingual one.
    pairs = [frozenset({c, m}) for c in ("koenen", "koenko", "enkoen", "enkoko") for m in ("enenen", "kokoko")]
    assert {frozenset(merge.weights) for merge in found.merges.values()} == set(pairs)
    assert {weight for merge in found.merges.values() for weight in merge.weights.values()} == {0.5}


def test_every_value_of_the_paper_study_says_whose_it_is():
    """The paper's or ours: on its line, or on that of a group it is in."""
    text = (ROOT / "studies" / "paper-ko-en.yaml").read_text(encoding="utf-8")
    unmarked, marks = [], {}
    for line in re.findall(r"^ *[^ #].*$", text, re.MULTILINE):
        depth = len(line) - len(line.lstrip())
        marks = {d: marked for d, marked in marks.items() if d < depth}
        code, _, comment = line.partition(" #")
        marks[depth] = bool(re.search(r"\b(paper|ours)\b", comment))
        if not code.rstrip().endswith(":") and not any(marks.values()):
            unmarked.append(code.strip())
    assert unmarked == ["title: Korean-English, arXiv 2507.08480"]


def alternatives():
    """The template's "#:" lines as overlays: neighbours together, unless they say one key in several ways."""
    text = (ROOT / "studies" / "template.yaml").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"(?:^#: .*\n)+", text, re.MULTILINE):
        entries = re.findall(r"^\S.*\n(?:^ .*\n)*", re.sub(r"^#: ", "", block, flags=re.MULTILINE), re.MULTILINE)
        overlays = [yaml.load(entry, yaml12.Loader) for entry in entries]
        together = {key: value for overlay in overlays for key, value in overlay.items()}
        found += [together] if len(together) == len(overlays) else overlays
    return found


@pytest.mark.parametrize("overlay", alternatives(), ids=lambda overlay: str(overlay)[:60])
def test_every_other_way_in_the_template_fits(overlay):
    template = yaml12.load(ROOT / "studies" / "template.yaml")
    for group in set(template) & set(overlay):
        # They take the place of what is there, but for what is null.
        kept = template[group] if group in ("recipes", "merges") else {}
        if isinstance(overlay[group], dict):
            overlay = overlay | {group: {name: None for name, value in kept.items() if value is None} | overlay[group]}
    tree = merged(template | overlay)
    params.validate(tree)
    for group, value in overlay.items():
        if group in ("languages", "recipes", "merges"):
            assert tree[group] == (value if group == "languages" else {k: v for k, v in value.items() if v is not None})


def test_the_template_has_a_way_for_each_source_of_text():
    ways = {overlay["corpus"].get("source") for overlay in alternatives() if "corpus" in overlay}
    assert {"tmx", "moses", "po", "xliff", "markdown", "csv", "datasets", "beir"} <= ways
