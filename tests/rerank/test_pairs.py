"""Scores of pairs: a real cross-encoder's do not depend on what else is scored, and no more is read than need be."""

import json
import shutil

import numpy as np
import pytest

from stages.rerank.pairs import KeptPairs
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_record, save_transformer
from tests.fakes.damage import damage
from tests.shared.fitting import texts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["xlm-r", "bert", "qwen3"])
def folder(request, tmp_path_factory):
    from sentence_transformers import CrossEncoder

    made = tmp_path_factory.mktemp("cross")
    model = CrossEncoder(str(save_transformer(made / "plain", request.param)), num_labels=1, device="cpu")
    model.model.config.pad_token_id = model.tokenizer.pad_token_id
    model.max_seq_length = 60
    model.save_pretrained(str(made / "cross"), create_model_card=False)
    save_record(made / "cross", max_length=60)
    return made / "cross"


PAIRS = list(dict.fromkeys(zip(texts(1, 60), texts(2, 60), strict=True)))


def test_scores_are_logits_and_tell_not_what_else_was_scored(workspace, folder, caplog):
    from sentence_transformers import CrossEncoder
    from torch import nn

    with caplog.at_level("INFO"):
        kept = KeptPairs(folder)
        together = kept.score(PAIRS)
    assert "60 pairs to score, about" in caplog.text
    assert together.dtype == np.float32 and together.shape == (len(PAIRS),)
    wanted = CrossEncoder(str(folder), device="cpu").predict(PAIRS, activation_fn=nn.Identity())
    np.testing.assert_allclose(together, wanted, atol=1e-5)
    assert kept.counts == {"scored": 60, "kept": 0}
    kept.file.unlink()
    again = KeptPairs(folder)
    alone = again.score(PAIRS[10:20])
    assert alone.tobytes() == together[10:20].tobytes()
    assert again.score(PAIRS[::-1]).tobytes() == together[::-1].tobytes()
    assert again.counts == {"scored": 60, "kept": 10}


def test_pairs_longer_than_the_model_reads_are_cut_as_it_cuts_them(workspace, folder):
    from sentence_transformers import CrossEncoder
    from torch import nn

    long = [("w1 w2", " ".join(["w3"] * 200)), (" ".join(["w4"] * 100), " ".join(["w5"] * 90))]
    wanted = CrossEncoder(str(folder), device="cpu").predict(long, activation_fn=nn.Identity())
    np.testing.assert_allclose(KeptPairs(folder).score(long), wanted, atol=1e-5)


def test_what_is_kept_loads_no_model(workspace, folder, monkeypatch):
    first = KeptPairs(folder).score(PAIRS[:5])
    kept = KeptPairs(folder)
    monkeypatch.setattr(KeptPairs, "model", property(lambda self: pytest.fail("the model was loaded")))
    assert kept.score(PAIRS[:5]).tobytes() == first.tobytes()
    assert kept.score([]).shape == (0,)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_file_that_is_cut_off_is_named(workspace, folder, tmp_path, name):
    copied = shutil.copytree(folder, tmp_path / "cut")
    damage(copied / name, "cut")
    with pytest.raises(UserError, match=f"{name} is damaged or cut off: run `dvc repro`"):
        KeptPairs(copied).score(PAIRS[:2])


def test_a_pair_is_both_texts_in_their_order(workspace, folder):
    kept = KeptPairs(folder)
    kept.score([("w1 w2", "w3")])
    swapped = kept.score([("w3", "w1 w2"), ("w1", "w2 w3")])
    assert kept.counts == {"scored": 3, "kept": 0} and swapped[0] != swapped[1]
    assert json.loads((folder / "encoder.json").read_text())["max_length"] == 60
