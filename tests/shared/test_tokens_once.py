"""Tokens of a static base's training texts, kept."""

import pytest
import torch

from stages.shared import tokens_once
from stages.shared.tokens_once import TokensOnce
from tests.fakes.checkpoints import static_model

TEXTS = ["w1 w2", "w3", "", "w1 w2", "w4 w5 w6"]


# How often a text is tokenized: each of four once, and one more without the prompt; those that do not fit again.
@pytest.mark.parametrize(
    ("prompt", "most", "times"),
    [(None, tokens_once.KEPT_BYTES, 4), (None, 1600, 5), ("w7 ", tokens_once.KEPT_BYTES, 5), ("w7 ", 540, 8)],
)
def test_features_are_the_same_and_each_text_is_tokenized_once(monkeypatch, prompt, most, times):
    monkeypatch.setattr(tokens_once, "KEPT_BYTES", most)
    model, seen = static_model(), []

    def watched(texts, **more):
        seen.extend(texts)
        return model.preprocess(texts, **more)

    kept = TokensOnce(watched)
    for texts, before in ((TEXTS, prompt), (TEXTS[::-1], prompt), (TEXTS[:1], prompt), (TEXTS[:1], None)):
        found, wanted = kept(texts, prompt=before, task=None), model.preprocess(texts, prompt=before)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) and found[name].dtype == wanted[name].dtype for name in found)
    assert seen[:4] == ["w1 w2", "w3", "", "w4 w5 w6"] and len(seen) == times
