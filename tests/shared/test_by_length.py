"""by_length: the vectors and gradients of whole columns, each distinct text once."""

import pytest
import torch
from sentence_transformers.base.losses.merged_forward import embed_columns

from stages.shared import by_length, lengths
from tests.shared.fitting import assert_equal_gradients, columns, loaded, save_families

pytestmark = pytest.mark.slow
CASES = [("xlm-r", "right"), ("qwen3", "left"), ("mistral", "right")]


@pytest.mark.parametrize(("family", "side"), CASES)
def test_vectors_and_gradients_are_those_of_whole_columns(tmp_path, monkeypatch, family, side):
    model = loaded(save_families(tmp_path)[family], side=side)
    wanted, wanted_gradients = weighed(model, embed_columns, columns(model))
    monkeypatch.setitem(lengths.TRAINING_TOKENS, "cpu", 20)
    found, gradients = weighed(model, by_length.embed, columns(model))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    assert_equal_gradients(gradients, wanted_gradients)


def test_a_text_that_is_there_twice_is_encoded_once_and_little_is_padding(tmp_path, monkeypatch):
    model = loaded(save_families(tmp_path)["xlm-r"])
    monkeypatch.setitem(lengths.TRAINING_TOKENS, "cpu", 30)
    shapes = []
    model[0].register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0]["input_ids"].shape)))
    long, short = "w1 w2 w3 w4 w5 w6 w7", "w8"
    queries, passages = by_length.embed(
        model, [model.preprocess([long, short, short]), model.preprocess([short, long, "w9"])]
    )
    torch.testing.assert_close(queries[[0, 1, 1]], passages[[1, 0, 0]])
    texts, tokens = len({long, short, "w9"}), [width for _, width in shapes]
    assert sum(rows for rows, _ in shapes) == texts
    assert tokens == sorted(set(tokens))


def weighed(model, embed, features):
    model.zero_grad()
    found = torch.stack(embed(model, features))
    (found * torch.linspace(-1, 1, found.numel()).reshape(found.shape)).sum().backward()
    return found.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
