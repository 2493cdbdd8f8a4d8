"""by_length: the vectors and gradients of whole columns, each distinct text once."""

import pytest
import torch
from sentence_transformers.base.losses.merged_forward import embed_columns
from sentence_transformers.sentence_transformer.modules import Pooling

from stages.shared import by_length, lengths
from tests.fakes.checkpoints import static_model
from tests.shared.fitting import assert_equal_gradients, loaded, save_families, texts

pytestmark = pytest.mark.slow
CASES = [("xlm-r", "right"), ("qwen3", "left"), ("mistral", "right")]
# Before queries and passages, as published encoders have them.
PROMPTS = [(None, None), ("w1 w2 ", "w3 "), ("w1 w2 ", None)]


@pytest.mark.parametrize(("family", "side"), CASES)
@pytest.mark.parametrize("prompts", PROMPTS)
@pytest.mark.parametrize("included", [True, False])
def test_vectors_and_gradients_are_those_of_whole_columns(tmp_path, monkeypatch, family, side, prompts, included):
    model = loaded(save_families(tmp_path)[family], side=side)
    pooling = next(module for module in model if isinstance(module, Pooling))
    pooling.include_prompt = included
    wanted, wanted_gradients = weighed(model, embed_columns, prompted(model, *prompts))
    monkeypatch.setitem(lengths.TRAINING_TOKENS, "cpu", 20)
    shapes = watched(model)
    found, gradients = weighed(model, embed, prompted(model, *prompts))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    assert_equal_gradients(gradients, wanted_gradients)
    assert len(shapes) > 4 and all(rows == 1 or rows * width <= 20 for rows, width in shapes)


def test_columns_with_prompts_of_their_own_are_of_the_same_parts(tmp_path):
    model = loaded(save_families(tmp_path)["xlm-r"])
    for query, passage in PROMPTS:
        found = by_length.parts(model, prompted(model, query, passage))
        assert len(found.features) == 1 and found.texts == 24
    # But where vectors leave prompts out, each column has to be told its own's length.
    next(module for module in model if isinstance(module, Pooling)).include_prompt = False
    found = by_length.parts(model, prompted(model, "w1 w2 ", "w3 "))
    assert [part["prompt_length"] for part in found.features] == [3, 2]


def test_a_text_that_is_there_twice_is_encoded_once_and_little_is_padding(tmp_path, monkeypatch):
    model = loaded(save_families(tmp_path)["xlm-r"])
    monkeypatch.setitem(lengths.TRAINING_TOKENS, "cpu", 30)
    shapes = watched(model)
    long, short = "w1 w2 w3 w4 w5 w6 w7", "w8"
    queries, passages = embed(model, [model.preprocess([long, short, short]), model.preprocess([short, long, "w9"])])
    torch.testing.assert_close(queries[[0, 1, 1]], passages[[1, 0, 0]])
    texts, tokens = len({long, short, "w9"}), [width for _, width in shapes]
    assert sum(rows for rows, _ in shapes) == texts
    assert tokens == sorted(set(tokens))


def test_a_static_models_columns_are_of_one_pass():
    model = static_model()
    columns = [["w1 w2", "w3", ""], ["w2 w2 w4", "w5 w1", "w6"], ["w7", "", "w1"]]
    wanted, wanted_gradients = weighed(model, embed_columns, [model.preprocess(texts) for texts in columns])
    passes = []
    model[0].register_forward_hook(lambda module, inputs, output: passes.append(len(output["sentence_embedding"])))
    found, gradients = weighed(model, embed, [model.preprocess(texts) for texts in columns])
    torch.testing.assert_close(found, wanted)
    assert_equal_gradients(gradients, wanted_gradients)
    assert passes == [9]


def embed(model, features):
    return by_length.embed(model, features, by_length.parts(model, features))


def prompted(model, query, passage):
    """`fitting.columns`, with these prompts."""
    prompts = [query, passage, passage, passage]
    return [model.preprocess(texts(seed, 6), prompt=prompt) for seed, prompt in enumerate(prompts)]


def watched(model):
    """The shapes of what the model is given from here on."""
    shapes = []
    model[0].register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0]["input_ids"].shape)))
    return shapes


def weighed(model, embed, features):
    model.zero_grad()
    found = torch.stack(embed(model, features))
    (found * torch.linspace(-1, 1, found.numel()).reshape(found.shape)).sum().backward()
    return found.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
