"""Tokens of a static base's training texts, kept."""

import pytest
import torch

from stages.shared import tokens_once as module
from stages.shared.tokens_once import tokens_once
from tests.fakes.checkpoints import static_model

TEXTS = ["w1 w2", "w3", "", "w1 w2", "w4 w5 w6"]


# How often a text is tokenized: each of four once, and one more without the prompt; those that do not fit again.
@pytest.mark.parametrize(
    ("prompt", "most", "times"), [(None, module.MOST, 4), (None, 3, 5), ("w7 ", module.MOST, 5), ("w7 ", 3, 8)]
)
def test_features_are_the_same_and_each_text_is_tokenized_once(monkeypatch, prompt, most, times):
    monkeypatch.setattr(module, "MOST", most)
    model, seen = static_model(), []
    own = model[0].preprocess
    wanted = [model.preprocess(texts, prompt=prompt) for texts in (TEXTS, TEXTS[::-1], TEXTS[:1])]

    def watched(texts, **more):
        seen.extend(texts)
        return own(texts, **more)

    model[0].preprocess = watched
    with tokens_once(model):
        found = [model.preprocess(texts, prompt=prompt) for texts in (TEXTS, TEXTS[::-1], TEXTS[:1])]
        assert model.preprocess(TEXTS[:1])["input_ids"].tolist() == own(TEXTS[:1])["input_ids"].tolist()
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)
    assert seen[:4] == ["w1 w2", "w3", "", "w4 w5 w6"] and len(seen) == times
    assert model[0].preprocess != watched
