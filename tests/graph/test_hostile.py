"""What a pull request may write into params.yaml runs nothing and writes nowhere."""

import re

import pytest

from tests.graph.conftest import checkout

pytestmark = pytest.mark.graph
HOSTILE = "x; touch pwned #"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("hostile"))


def test_no_name_runs_as_a_command(fresh):
    """Neither with all that comes before it, nor alone, where no other stage has looked at the name."""
    fresh.edit("merges", {HOSTILE: {"method": "linear", "weights": {"koenen": 0.5, "kokoko": 0.5}}})
    fresh.edit("fetch", {HOSTILE: {"repo": "a/b", "revision": "0" * 40, "files": ["*"]}})
    said = fresh.run("dvc", "repro", check=False)
    assert re.findall("Running stage '(.*)'", said) == ["check"]
    assert f"params.yaml: merges.{HOSTILE}: '{HOSTILE}' is no name: use letters, digits" in said
    (fresh.folder / "data/checked").touch()
    said = fresh.run("dvc", "repro", "--single-item", f"fetch@{HOSTILE}", check=False)
    assert f"Running stage 'fetch@{HOSTILE}':\n> python -m stages.fetch\n" in said
    assert f"error: stages.fetch: '{HOSTILE}' is no name: use letters, digits" in said
    assert not list(fresh.folder.rglob("pwned"))


def test_a_name_that_is_a_path_is_refused_before_dvc_clears_its_output(fresh):
    precious = fresh.folder / "docs" / "figures.md"
    before = precious.read_bytes()
    fresh.edit("merges", {})
    fresh.edit("fetch", {"../../docs": {"repo": "a/b", "revision": "0" * 40, "files": ["*"]}})
    said = fresh.run("dvc", "repro", check=False)
    assert "fetch.../../docs: '../../docs' is no name" in said
    assert precious.read_bytes() == before
