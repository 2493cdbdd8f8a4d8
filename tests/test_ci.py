"""What is run of a pull request names what there is."""

import re

import yaml

from tests.conftest import ROOT

SCRIPT = (ROOT / ".ci/pr").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/pr.yml").read_text(encoding="utf-8"))


def test_the_comment_that_is_updated_is_the_one_that_was_posted():
    marker = re.search(r'echo "(<!-- .* -->)"', SCRIPT)[1]
    assert f'startswith("{marker}")' in WORKFLOW["jobs"]["gate"]["steps"][-1]["run"]
    assert f'startswith("{marker}")' in (ROOT / "docs/gate.md").read_text(encoding="utf-8")


def test_the_script_runs_tools_that_there_are_and_writes_what_git_ignores():
    tools = re.findall(r"python -m tools\.(\w+)", SCRIPT)
    assert set(tools) == {"repro", "gate"} and all((ROOT / f"tools/{name}.py").is_file() for name in tools)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/{name}" for name in (*re.findall(r"> (\w+\.md)", SCRIPT), "plots/")} <= {*ignored}


def test_no_step_puts_what_others_write_into_a_shell():
    """Branch names and titles reach it as variables of the environment."""
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert not [step for step in steps if "${{" in step.get("run", "")]
