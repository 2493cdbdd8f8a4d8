"""results: the table printed after a build."""

import pytest

from stages import results
from stages.shared.errors import UserError


def test_a_table_is_padded_in_percent():
    rows = {
        "base": {"en-en": {"m": 0.5}, "mono": {"m": 0.12345}, "language_bias": 3.25},
        "a": {"en-en": {"m": 1.0}},
    }
    assert results.table(rows, ["en-en", "mono"], "m") == [
        "| model | en-en | mono | bias |",
        "| ----- | ----: | ---: | ---: |",
        "| base  |  50.0 | 12.3 | 3.25 |",
        "| a     | 100.0 |    - |    - |",
    ]


def test_without_results_it_says_how_to_get_them(workspace):
    with pytest.raises(UserError, match="run `make repro`"):
        workspace.run("results")
