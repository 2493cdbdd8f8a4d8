"""Models to folders: a tokenizer as it was set, and nothing of the last batch."""

import json

import pytest

from stages.shared import saving
from tests.fakes.checkpoints import save_sentence_transformer
from tests.shared.fitting import SIDES, TEXTS, loaded


@pytest.mark.parametrize("side", SIDES)
def test_a_saved_model_pads_on_the_side_that_was_set_and_cuts_nothing(tmp_path, side):
    model = loaded(save_sentence_transformer(tmp_path / "own", "qwen3", pooling="lasttoken"), side=side)
    model.max_seq_length = 4
    model.encode(TEXTS)
    saving.save(model, tmp_path / side)
    assert loaded(tmp_path / side).tokenizer.padding_side == side
    written = json.loads((tmp_path / side / "tokenizer.json").read_text())
    assert (written["truncation"], written["padding"]) == (None, None)
