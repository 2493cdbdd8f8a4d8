"""A stage knows which member of its group it runs for, by hand or by DVC, and takes nothing else for one."""

import sys

import pytest

from stages.shared import member
from stages.shared.errors import UserError


@pytest.fixture
def named(monkeypatch):
    """Call it with a stage's words, what DVC says and what is written by hand."""

    def name(*stage, dvc=None, given=()):
        monkeypatch.delenv("DVC_STAGE", raising=False)
        if dvc is not None:
            monkeypatch.setenv("DVC_STAGE", dvc)
        monkeypatch.setattr(sys, "argv", [stage[0], *stage[1:], *given])
        return member.name(*stage)

    return name


def test_what_is_written_by_hand_wins(named):
    assert named("train", given=["koenen"]) == "koenen"
    assert named("train", given=["koenen"], dvc="train@enenko") == "koenen"
    assert named("retrieve", "trained", given=["koenen"]) == "koenen"


@pytest.mark.parametrize("path", ["", "../dvc.yaml:", "sub/dvc.yaml:", "a@b:c/dvc.yaml:", "/x/train@y/dvc.yaml:"])
def test_dvc_says_it_wherever_it_is_started(named, path):
    assert named("train", dvc=f"{path}train@koenen") == "koenen"
    assert named("retrieve", "trained", dvc=f"{path}retrieve-trained@avg-a_b") == "avg-a_b"


@pytest.mark.parametrize("dvc", [None, "", "train", "merge@koenen", "retrain@koenen", "train-x@koenen"])
def test_a_stage_is_not_run_for_what_another_was_started_for(named, dvc):
    with pytest.raises(UserError, match=r"which one\? Run `dvc repro train`, or name one: python -m stages.train NAME"):
        named("train", dvc=dvc)


@pytest.mark.parametrize("text", ["x; touch pwned #", "../x", "a/b", "", "a\nb", "a@b", "x/dvc.yaml:train@koenen", "1"])
def test_what_can_be_no_name_is_refused(named, text):
    for given in ({"dvc": f"train@{text}"}, {"given": [text]}):
        with pytest.raises(UserError, match="is no name: use letters"):
            named("train", **given)


def test_names_are_as_long_as_files_may_be(named):
    assert named("train", given=["a" * 100]) == "a" * 100
    with pytest.raises(UserError, match="has 101 characters: use 100 at most"):
        named("train", given=["a" * 101])
    with pytest.raises(UserError, match="'a b' is more than one name"):
        named("train", given=["a", "b"])
