"""Old command lines say the new ones, and do what these do."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


def said(*arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["study", "answer"])
def test_an_old_command_says_the_new_one_and_does_the_same(name):
    code, out, err = said(f"stages.{name}", "--help")
    assert (code, out) == said(f"tools.{name}", "--help")[:2]
    assert f"usage: python -m tools.{name}" in out
    assert err == f"python -m stages.{name} is now python -m tools.{name}\n"


def test_compare_says_where_experiments_are():
    code, _, err = said("stages.compare", "--experiments")
    assert (code, err) == (
        1,
        "error: compare takes no options: experiments are set side by side by `python -m tools.experiments`\n",
    )
