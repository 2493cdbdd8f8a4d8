"""graph: the code that a stage imports is told or written, and nothing else of dvc.yaml is touched."""

import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import graph

TEXT = (ROOT / "dvc.yaml").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call it with the text of a dvc.yaml and arguments; it returns the text afterwards."""
    monkeypatch.chdir(tmp_path)

    def call(text, *arguments):
        Path("dvc.yaml").write_text(text, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["graph", *arguments])
        graph.main()
        return Path("dvc.yaml").read_text(encoding="utf-8")

    return call


def test_lists_are_written_and_the_rest_stays(run, capsys):
    stale = TEXT.replace("      - stages/triples.py\n", "      - stages/gone.py\n").replace(
        "        - stages/settings/train.py\n", "", 1
    )
    assert stale != TEXT
    assert run(stale, "--write") == TEXT
    assert "code lists written" in capsys.readouterr().out
    assert run(TEXT, "--write") == TEXT


def test_what_differs_is_told_and_fails(run, capsys):
    stale = TEXT.replace("      - stages/triples.py\n", "      - stages/gone.py\n")
    with pytest.raises(SystemExit, match="--write"):
        run(stale)
    said = capsys.readouterr().out.splitlines()
    assert said == ["triples lacks: stages/triples.py", "triples needs no more: stages/gone.py"]
    assert run(TEXT) == TEXT
    assert capsys.readouterr().out == ""


def test_a_stage_without_a_list_is_told(run):
    with pytest.raises(SystemExit, match="needs a list `deps:`"):
        run("stages:\n  triples:\n    cmd: python -m stages.triples\n")


def test_a_package_is_one_dependency_and_what_it_imports_beyond_is_listed():
    found = graph.dependencies("stages.contamination")
    assert "stages/contamination" in found and not any(file.startswith("stages/contamination/") for file in found)
    assert {"stages/shared/duplicates.py", "stages/settings/contamination.py", "stages/schemas/trainsets.py"} <= found
