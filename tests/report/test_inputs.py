"""What other stages left is there and of this study, or refused in a sentence."""

from pathlib import Path

import pytest

from stages.report.__main__ import main
from stages.shared.errors import UserError
from tests.report.conftest import write


def test_what_is_missing_or_stale_is_one_sentence(study):
    Path("metrics/negatives.json").unlink()
    with pytest.raises(UserError, match=r"^metrics/negatives\.json is missing: run `dvc repro`$"):
        main()
    write("metrics/negatives.json", {})
    write("metrics/labels.json", {"test": {"tasks": {}, "models": {"base": {}}}})
    with pytest.raises(UserError, match=r"^metrics/labels\.json says nothing of koenen on test: run `dvc repro`$"):
        main()
    write("metrics/trainsets.json", {"recipes": {"koenen": {}}, "queries": {}})
    with pytest.raises(UserError, match=r"^metrics/trainsets\.json says nothing of koenko: run `dvc repro`$"):
        main()
    write("metrics/summary.json", {"best_recipe": "both", "chosen_model": "gone"})
    with pytest.raises(UserError, match="names the model 'gone'"):
        main()
    assert not Path("metrics/report").exists()
