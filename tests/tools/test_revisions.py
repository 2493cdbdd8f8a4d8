"""revisions: from which files results were built."""

import pytest

from tools import revisions

GROUPS = {"fetch": "fetch", "train": "recipes", "rerankers": "rerankers", "rerank": "rerank", "index": "indexes"}


@pytest.mark.parametrize(("stage", "group"), GROUPS.items())
def test_what_a_member_of_any_group_makes_is_no_source(stage, group):
    """Its bytes may differ between machines, and its code is told by its own dependencies."""

    def digest(made, code="a", named=True):
        lock = {
            f"{stage}@one": {
                "deps": [{"path": "stages/made.py", "md5": code}],
                "outs": [{"path": "data/made/one", "md5": made}],
            },
            "compare": {"deps": [{"path": "data/made/one", "md5": made}]},
        }
        # A variant of code-switching may have a recipe's name.
        settings = {"codeswitch": {"one": {}}, group: {"one": {}} if named else {}}
        return revisions.sources(settings, {"stages": lock})

    assert digest("x") == digest("y") != digest("x", code="b")
    assert digest("x", named=False) != digest("y", named=False)
