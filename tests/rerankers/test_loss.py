"""The loss of a cross-encoder: what it is of pairs, and that parts of a batch give the same gradients."""

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from stages.rerankers.loss import PairwiseEntropy
from tests.fakes.checkpoints import save_transformer
from tests.shared.fitting import assert_equal_gradients, texts, value_and_gradients

pytestmark = pytest.mark.slow
COLUMNS = [texts(seed, 5) for seed in range(4)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    folder = save_transformer(tmp_path_factory.mktemp("model") / "plain", "xlm-r")
    return CrossEncoder(str(folder), num_labels=1, device="cpu")


def test_the_positive_is_1_and_each_negative_0(model):
    queries, positives, *negatives = COLUMNS
    pairs = [(q, p) for column in (positives, *negatives) for q, p in zip(queries, column, strict=True)]
    logits = model.predict(pairs, activation_fn=torch.nn.Identity()).astype(np.float64)
    wanted = np.array([1.0] * 5 + [0.0] * 10)
    likely = 1 / (1 + np.exp(-logits))
    entropy = -np.mean(wanted * np.log(likely) + (1 - wanted) * np.log(1 - likely))
    model.train()
    assert PairwiseEntropy(model)(COLUMNS, None).item() == pytest.approx(entropy, rel=1e-5)


@pytest.mark.parametrize("size", [1, 4, 14])
def test_parts_of_a_batch_give_the_same_loss_and_gradients(model, size):
    whole, whole_gradients = value_and_gradients(model, PairwiseEntropy(model), COLUMNS, None)
    parts, gradients = value_and_gradients(model, PairwiseEntropy(model, size), COLUMNS, None)
    assert parts == pytest.approx(whole, rel=1e-6)
    assert_equal_gradients(whole_gradients, gradients)
