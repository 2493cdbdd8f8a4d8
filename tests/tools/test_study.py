"""study: an overlay changes what it names, keeps the rest to the letter, and never runs over an edit."""

import os
import subprocess

import pytest

from stages.check import params
from stages.settings import yaml12
from stages.shared.errors import UserError
from tests.conftest import ROOT
from tests.tools.conftest import git, study


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
    study(repository, "train: {steps: 60, temperature: 5e-2}\nlanguages: [en, ko]\n")
    assert lines(repository) == before
    assert capsys.readouterr().out.startswith("0 keys changed")


def test_values_arrive_with_their_types(repository, capsys):
    study(
        repository,
        "train: {learning_rate: 2e-05}\n"
        "corpus: {limit: 5, columns: {stratum: null}}\n"
        "base: {name: a/b, prompts: {query: 'q: ', passage: 'p: '}}\n"
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
    assert len(found.recipes) == 9
    assert found.corpus.columns.title is None
    assert "removed" in capsys.readouterr().out
    # Removing what is not there is no change.
    git("commit", "-am", "y")
    study(repository, "recipes: {joint: null}\n")
    assert capsys.readouterr().out.startswith("0 keys changed")


def test_only_takes_the_place_of_the_default_s_group(repository, capsys):
    """Whatever a member had besides is gone too, and members that are not named leave, now and in later versions."""
    study(repository, "recipes: {koenen: {batches: {scheme: x-y}, synthetic: 0.5}}\n", name="mine")
    git("commit", "-am", "y")
    capsys.readouterr()
    study(
        repository,
        "recipes: !only\n"
        "  koenen: {compositions: [koenen], negatives: window}\n"
        "  joint: {compositions: [enenen, enkoko, koenen, kokoko], negatives: window}\n"
        "  ende: {compositions: [enenen], negatives: window}\n"
        "merges: !only {}\n"
        "references: !only {words: {bm25: {k1: 1.2}}}\n"
        "fusions: {both: {of: [words, joint]}}\n",
    )
    tree = yaml12.load(repository.params)
    assert tree["recipes"] == {
        "koenen": {"compositions": ["koenen"], "negatives": "window"},
        "joint": {"compositions": ["enenen", "enkoko", "koenen", "kokoko"], "negatives": "window"},
        "ende": {"compositions": ["enenen"], "negatives": "window"},
    }
    assert tree["merges"] == {}
    assert tree["references"] == {"words": {"bm25": {"k1": 1.2}}}
    assert tree["fusions"] == {"both": {"of": ["words", "joint"]}}
    printed = capsys.readouterr().out
    assert "recipes.enenko: " in printed and "merges.avg-four: " in printed
    assert "recipes.joint" not in printed  # it is the same
    assert "!only" not in repository.params.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipes: !only {a: {compositions: [enenen], negatives: w}, a: {}}\n", "the key 'a' stands twice"),
        ("!only\nrecipes: {}\n", r"s\.yaml: !only marks a group, and not the whole file: remove it"),
        (
            "recipes: !only {a: {compositions: [enenen], negatives: window, hybrd: 1.0}}\n",
            r"unknown key recipes\.a\.hybrd",
        ),
        ("recipies: !only {}\n", r"unknown key recipies \(did you mean recipes\?\)"),
    ],
)
def test_what_only_marks_is_checked_like_all_else(repository, text, message):
    before = repository.params.read_bytes()
    with pytest.raises(UserError, match=message):
        study(repository, text)
    assert repository.params.read_bytes() == before


def test_only_marks_groups_alone(repository):
    with pytest.raises(UserError, match=r"s\.yaml is not YAML: line 1: !only marks a group of keys, and this is none"):
        study(repository, "recipes: !only [koenen]\n")


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


def test_several_studies_are_applied_one_upon_the_other(repository, capsys):
    (repository.path / "studies").mkdir(exist_ok=True)
    for name, text in {"first": "train: {steps: 7, batch_size: 9}\n", "second": "train: {steps: 8}\nseed: 3\n"}.items():
        (repository.path / f"studies/{name}.yaml").write_text(text, encoding="utf-8")
    repository.run("study", "first", "second")
    found = params.load()
    assert (found.train.steps, found.train.batch_size, found.seed) == (8, 9, 3)
    printed = capsys.readouterr().out
    assert "train.steps: 60 -> 8" in printed and "3 keys changed" in printed


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
        ("recipes: {koenen: null}\n", "names 'koenen', which no recipe or merge makes"),
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
    study(repository, "train: {steps: 60}\n", name="one")
    with pytest.raises(UserError, match=r"there is no studies/two\.yaml: the studies are one"):
        repository.run("study", "two")
    with pytest.raises(UserError, match=r"there is no studies/\.\./studies/one\.yaml"):
        repository.run("study", "../studies/one")
    with pytest.raises(UserError, match="name one study: one"):
        repository.run("study")


def test_a_study_can_be_applied_upon_a_committed_one(repository):
    study(repository, "train: {steps: 7}\n", name="one")
    git("commit", "-am", "y")
    study(repository, "train: {batch_size: 9}\n", name="two")
    tree = yaml12.load(repository.params)
    assert (tree["train"]["steps"], tree["train"]["batch_size"]) == (7, 9)


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
        "python|-m|tools.disk",
        "python|-m|tools.repro",
        "python|-m|tools.results",
    ]
