"""Sparse gradients of embedding tables: those of a dense table, and updates of the rows that were read alone."""

import math

import pytest
import torch
from torch import nn

from stages.shared import sparse
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_sentence_transformer, static_model
from tests.shared.fitting import fitted, loaded, rows


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    return save_sentence_transformer(tmp_path_factory.mktemp("model") / "st", pooling="mean")


def first(module):
    """What `sparse` takes for a model whose token vectors `module` holds."""
    wrapped = nn.Module()
    wrapped.embedding = module
    return nn.Sequential(wrapped)


@pytest.mark.parametrize("padding", [None, 3, 19])  # 19 is not read
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_vectors_and_gradients_are_those_of_the_whole_table(kind, padding):
    torch.manual_seed(0)
    table = kind(20, 4, padding_idx=padding)
    ids = torch.tensor([[3, 5, 5, 7], [7, 0, 3, 5]])
    weights = torch.rand((2, 4) if kind is nn.EmbeddingBag else (2, 4, 4))
    vectors = table(ids)
    (vectors * weights).sum().backward()
    dense, table.weight.grad = table.weight.grad, None
    with sparse.gradients(first(table)):
        for part in ids.split(1):
            at = int(part[0, 0] == 7)
            found = table(part)
            torch.testing.assert_close(found, vectors[at : at + 1])
            (found * weights[at : at + 1]).sum().backward()
    assert table.weight.grad.is_sparse
    assert set(table.weight.grad.coalesce().indices()[0].tolist()) == {0, 3, 5, 7}
    torch.testing.assert_close(table.weight.grad.to_dense(), dense)
    with torch.no_grad():
        assert torch.equal(table(ids), vectors)  # as it was before, once the block has ended


@pytest.mark.parametrize("limit", [0.1, 100.0, math.inf])
def test_gradients_are_clipped_as_dense_ones_are(limit):
    torch.manual_seed(0)
    table, other = nn.Embedding(20, 4), nn.Linear(4, 1)
    ids = torch.tensor([[1, 2], [2, 3]])
    other(table(ids)).sum().backward()
    parameters = [*table.parameters(), *other.parameters()]
    norm = nn.utils.clip_grad_norm_(parameters, limit)
    dense = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    with sparse.gradients(first(table)):
        for part in ids.split(1):  # whose gradients are summed for row 2
            other(table(part)).sum().backward()
    torch.testing.assert_close(sparse.clip(parameters, limit), norm)
    for parameter, wanted in zip(parameters, dense, strict=True):
        torch.testing.assert_close(parameter.grad.to_dense(), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_rows_that_no_batch_reads_stay_and_the_others_are_trained(training, transformer, kind):
    def load():
        return static_model() if kind == "static" else loaded(transformer)

    data, model = rows(8), load()
    texts = [text for name in data.column_names if name != "label" for text in data[name]]
    read = set(model.preprocess(texts)["input_ids"].reshape(-1).tolist())
    before = {name: part.detach().clone() for name, part in model.named_parameters()}
    table = next(name for name, part in model.named_parameters() if part is sparse.table(model).weight)
    settings = {"learning_rate": 1e-3, "data": data, "max_grad_norm": 0.5}
    # One step: moments that begin are the same in both, up to what keeps from dividing by 0.
    once, dense = (
        fitted(training, load(), f"{on}", steps=1, warmup=0.0, log_every=1, sparse_embeddings=on, **settings)[1]
        for on in (True, False)
    )
    assert torch.isclose(once.pop(table), dense.pop(table), atol=1e-5).float().mean() > 0.95
    for name in once:
        torch.testing.assert_close(once[name], dense[name])
    points, after = fitted(training, model, "sparse", sparse_embeddings=True, **settings)
    moved = (after[table] != before[table]).any(dim=1).nonzero()[:, 0]
    assert len(read) < len(before[table]) and set(moved.tolist()) <= read
    assert len(moved) > len(read) / 2 and points[-1][1] < points[0][1]
    assert all(not torch.equal(after[name], before[name]) for name in once if name.endswith("query.weight"))


def test_a_model_without_such_a_table_is_refused():
    with pytest.raises(UserError, match=r"sparse_embeddings: the base has no table of token vectors: write false"):
        sparse.table(first(nn.Linear(2, 2)))


def test_a_schedule_sets_both_learning_rates_also_after_loading():
    table, other = nn.Embedding(4, 2), nn.Linear(2, 1)
    optimizer = sparse.SparseAndDense(table.weight, torch.optim.AdamW(other.parameters(), lr=1.0), 1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for rate in (0.5, 1 / 3):
        with sparse.gradients(first(table)):
            other(table(torch.tensor([1, 2]))).sum().backward()
        optimizer.step()
        schedule.step()
        assert [part.param_groups[0]["lr"] for part in optimizer.parts] == [rate, rate]
        optimizer.load_state_dict(optimizer.state_dict())
