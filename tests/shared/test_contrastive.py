"""The contrastive loss, against other computations of it."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    DistillKLDivLoss,
    MarginMSELoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.util import pairwise_cos_sim
from torch import distributed
from torch.multiprocessing.spawn import start_processes
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from stages.shared import by_length, lengths
from stages.shared.contrastive import Distilled, InfoNCE
from tests.fakes.checkpoints import save_sentence_transformer, static_model
from tests.shared.fitting import all_different, assert_equal_gradients, columns, texts, value_and_gradients

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    """The folder of a tiny transformer without dropout, mean pooling."""
    return save_sentence_transformer(tmp_path_factory.mktemp("model") / "st", pooling="mean")


def test_without_clashes_it_is_multiple_negatives_ranking(transformer):
    model = SentenceTransformer(str(transformer), device="cpu")
    ours = InfoNCE(model, temperature=0.05)
    theirs = MultipleNegativesRankingLoss(model, scale=20)
    value, gradients = value_and_gradients(model, ours, columns(model), all_different(6, 3))
    wanted, wanted_gradients = value_and_gradients(model, theirs, columns(model), None)
    assert value == pytest.approx(wanted, rel=1e-5)
    assert value > 0.1
    assert_equal_gradients(gradients, wanted_gradients)


@pytest.mark.parametrize(("symmetric", "in_batch"), [(False, True), (True, True), (False, False)])
@pytest.mark.parametrize("parts", [{"mini_batch_size": 1}, {"mini_batch_size": 7}, {"mini_batch_tokens": 30}])
def test_mini_batches_change_neither_value_nor_gradients(transformer, symmetric, in_batch, parts):
    model = SentenceTransformer(str(transformer), device="cpu")
    groups = all_different(6, 3)
    groups[3, 0], groups[4, 2] = groups[1, 0], groups[0, 0]
    whole, cached = (
        value_and_gradients(model, InfoNCE(model, 0.1, symmetric, in_batch, **given), columns(model), groups)
        for given in ({}, parts)
    )
    assert cached[0] == pytest.approx(whole[0], rel=1e-5)
    assert_equal_gradients(whole[1], cached[1])


@pytest.mark.parametrize(
    ("parts", "passes"),
    [
        *(({}, 1), ({"mini_batch_size": 24}, 1), ({"mini_batch_tokens": 240}, 1)),
        *(({"mini_batch_size": 10}, 6), ({"mini_batch_tokens": 50}, 8)),
    ],
)
def test_a_batch_that_fits_is_encoded_once_and_no_part_is_larger(transformer, parts, passes):
    model = SentenceTransformer(str(transformer), device="cpu")
    seen = []
    model[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]["input_ids"].shape))
    value_and_gradients(model, InfoNCE(model, 0.1, **parts), columns(model), all_different(6, 3))
    assert len(seen) == passes
    assert max(rows for rows, _ in seen) <= parts.get("mini_batch_size", 24)
    assert max(rows * width for rows, width in seen) <= parts.get("mini_batch_tokens", 240)


def test_parts_are_those_of_columns_where_texts_are_packed(transformer, monkeypatch):
    """As for FlashAttention, whose batches have no padding to cut off."""
    model = SentenceTransformer(str(transformer), device="cpu")
    whole = value_and_gradients(model, InfoNCE(model, 0.1), columns(model), all_different(6, 3))
    monkeypatch.setattr("stages.shared.by_length.parts", lambda *_: None)
    for parts in ({"mini_batch_size": 4}, {"mini_batch_tokens": 20}):
        cached = value_and_gradients(model, InfoNCE(model, 0.1, **parts), columns(model), all_different(6, 3))
        assert cached[0] == pytest.approx(whole[0], rel=1e-5)
        assert_equal_gradients(whole[1], cached[1])


def by_hand(
    embedded,
    groups,
    temperature,
    symmetric=False,
    in_batch=True,
    guided=None,
    margin=0.0,
    hardness_mode=None,
    hardness_strength=0.0,
):
    """The loss with loops and exponentials, straight from its definition; `guided`: the guide's cosines."""
    unit = [F.normalize(c.double(), dim=-1) for c in embedded]
    batch, total = len(unit[0]), 0.0
    documents = [(c[j], groups[j][i]) for i, c in enumerate(unit[1:]) for j in range(batch)]
    places = [(i, j) for i in range(len(unit) - 1) for j in range(batch)]

    def weight(row, place, cosine):
        """How much more a document counts."""
        is_hard = {
            None: False,
            "in_batch_negatives": place[1] != row,
            "hard_negatives": place[1] == row and place[0] > 0,
            "all_negatives": place != (0, row),
        }[hardness_mode]
        return torch.exp(hardness_strength * cosine.detach()) if is_hard else 1.0

    for row in range(batch):
        kept = [
            torch.exp(unit[0][row] @ vector / temperature) * weight(row, place, unit[0][row] @ vector)
            for (vector, group), place in zip(documents, places, strict=True)
            if place == (0, row)
            or (
                group != groups[row][0]
                and (in_batch or place[1] == row)
                and not (guided is not None and guided[row][place[0] * batch + place[1]] > guided[row][row] - margin)
            )
        ]
        own = torch.exp(unit[0][row] @ unit[1][row] / temperature)
        total = total - torch.log(own / sum(kept))
    if not symmetric:
        return total / batch
    back = 0.0
    for row in range(batch):
        kept = [
            torch.exp(unit[1][row] @ unit[0][q] / temperature)
            for q in range(batch)
            if q == row
            or (
                groups[q][0] != groups[row][0]
                and not (guided is not None and guided[q][row] > guided[row][row] - margin)
            )
        ]
        back = back - torch.log(torch.exp(unit[1][row] @ unit[0][row] / temperature) / sum(kept))
    return (total + back) / (2 * batch)


def taught_by_hand(embedded, kind, temperature, scores):
    """What a row's cosines lack of its teacher's, likewise."""
    unit = [F.normalize(c.double(), dim=-1) for c in embedded]
    total = 0.0
    for row, told in enumerate(scores.double() / temperature):
        own = torch.stack([unit[0][row] @ column[row] / temperature for column in unit[1:]])
        if kind == "kl":
            p, q = torch.exp(told) / torch.exp(told).sum(), torch.exp(own) / torch.exp(own).sum()
            total = total + (p * torch.log(p / q)).sum() / len(scores)
        else:
            total = total + (((own[0] - own[1:]) - (told[0] - told[1:])) ** 2).sum() / scores[:, 1:].numel()
    return total


# Of all that the loss may be: settings, sizes of vectors, and what is distilled.
KINDS = {
    "as it is": ({}, [], None),
    "own negatives": ({"in_batch": False}, [], None),
    "both ways": ({"symmetric": True}, [], None),
    "guided": ({"symmetric": True, "margin": 0.01}, [], None),
    "matryoshka": ({}, [5, 2], None),
    "in-batch hardness": ({"hardness_mode": "in_batch_negatives", "hardness_strength": 9.0}, [], None),
    "hard hardness": ({"hardness_mode": "hard_negatives", "hardness_strength": 5.0, "in_batch": False}, [], None),
    "all hardness": ({"hardness_mode": "all_negatives", "hardness_strength": 5.0, "symmetric": True}, [], None),
    "kl": ({}, [], ("kl", 0.5, 0.2)),
    "margins": ({}, [], ("margin_mse", 1.0, 0.5)),
    "all": (
        {"symmetric": True, "margin": 0.01, "hardness_mode": "all_negatives", "hardness_strength": 5.0},
        [5],
        ("kl", 0.3, 0.2),
    ),
}
# Rows 1 and 3 are of one group, and a negative of row 4 is the positive of row 0.
CLASHING = all_different(6, 3)
CLASHING[3, 0], CLASHING[4, 2] = CLASHING[1, 0], CLASHING[0, 0]
SCORES = torch.rand(9, 3, generator=torch.Generator().manual_seed(6))
TAUGHT = torch.tensor([8, 1, 0, 5, 3, 2])


@pytest.fixture(scope="module")
def unpadded(transformer):
    """A model, what it makes of each text by itself (queries, positives, negatives), and a guide's vectors likewise."""
    model, guide = (SentenceTransformer(str(transformer), device="cpu") for _ in range(2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))

    def embedded(encoder):
        each = [[encoder(encoder.preprocess([text])) for text in texts(seed, 6)] for seed in range(4)]
        return [torch.cat([found["sentence_embedding"] for found in column]) for column in each]

    with torch.no_grad():
        unit = [F.normalize(column, dim=-1) for column in embedded(guide)]
    return model, embedded(model), guide, unit[0] @ torch.cat(unit[1:]).T


def of_kind(kind, model, guide, **parts):
    settings, sizes, told = KINDS[kind]
    return InfoNCE(
        model,
        0.1,
        **settings,
        **parts,
        guide=guide if "margin" in settings else None,
        matryoshka=sizes,
        distilled=Distilled(*told, SCORES) if told else None,
    )


@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradients_are_those_of_the_formula_on_texts_without_padding(unpadded, kind, size):
    """In a batch, texts are padded to the longest; in mini-batches, gradients are cached."""
    model, embedded, guide, guided = unpadded
    settings, sizes, told = KINDS[kind]
    is_guided = "margin" in settings
    wanted = 0.0
    for length in (None, *sizes):
        cut = [column[:, :length] for column in embedded]
        loss = by_hand(cut, CLASHING.tolist(), 0.1, **settings, guided=guided.tolist() if is_guided else None)
        if told:
            distilled, weight, temperature = told
            loss = (1 - weight) * loss + weight * taught_by_hand(cut, distilled, temperature, SCORES[TAUGHT])
        wanted = wanted + loss / (1 + len(sizes))
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(wanted, parameters, retain_graph=True, allow_unused=True)
    ours = of_kind(kind, model, guide, mini_batch_size=size)
    labels = torch.cat([CLASHING, TAUGHT[:, None]], dim=1) if told else CLASHING
    features = columns(model)
    assert any((column["attention_mask"] == 0).any() for column in features)
    value, found = value_and_gradients(model, ours, features, labels)
    assert value == pytest.approx(wanted.item(), rel=1e-4)
    by_name = dict(zip(names, gradients, strict=True))
    assert_equal_gradients({name: by_name[name] for name in found}, found, 1e-4)


# How ranks cut their batches: in parts that differ in number between them, in as many, or one of them alone.
OF_RANKS = {"whole": {}, "by size": {"mini_batch_size": 2}, "by tokens": {"mini_batch_tokens": 112}}


def of_rank(rank, ranks, folder, models):
    """Train one step of each kind on a rank's rows, and save the value and the gradients as DDP has them."""
    torch.set_num_threads(1)  # those of both ranks would be in each other's way on few cores
    distributed.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=ranks)
    model, guide = models
    own = slice(rank * 6 // ranks, (rank + 1) * 6 // ranks)
    found = {}
    lengths.TRAINING_TOKENS["cpu"] = 20
    for (kind, settings), (name, parts) in product(KINDS.items(), OF_RANKS.items()):
        model.zero_grad()
        labels = torch.cat([CLASHING, TAUGHT[:, None]], dim=1) if settings[2] else CLASHING
        features = [model.preprocess(texts(seed, 6)[own]) for seed in range(4)]
        spread = DistributedDataParallel(model, find_unused_parameters=True, broadcast_buffers=False)
        loss = of_kind(kind, spread, guide, **parts)
        cut = by_length.parts(spread, features, parts.get("mini_batch_tokens"), parts.get("mini_batch_size"))
        found[f"{kind} {name} parts"] = torch.tensor([len(cut.features)])
        value = loss(features, labels[own])
        value.backward()
        found[f"{kind} {name}"] = value.detach().reshape(1)
        found |= {f"{kind} {name} {n}": p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    save_file(found, folder / f"{rank}.safetensors")
    distributed.destroy_process_group()


def test_two_processes_have_the_loss_and_gradients_of_one_with_their_batches(unpadded, tmp_path):
    model, _, guide, _ = unpadded
    # Spawned: a forked process would wait for torch's threads, which stay with its parent.
    start_processes(of_rank, (2, tmp_path, (model, guide)), nprocs=2, start_method="spawn")
    ranks = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(2)]
    for kind, settings in KINDS.items():
        labels = torch.cat([CLASHING, TAUGHT[:, None]], dim=1) if settings[2] else CLASHING
        value, gradients = value_and_gradients(model, of_kind(kind, model, guide), columns(model), labels)
        for name in OF_RANKS:
            assert_equal_to_ranks(ranks, f"{kind} {name}", value, gradients)
    parts = {name: [rank[f"as it is {name} parts"].item() for rank in ranks] for name in OF_RANKS}
    assert parts == {"whole": [5, 6], "by size": [6, 6], "by tokens": [1, 2]}


def assert_equal_to_ranks(ranks, name, value, gradients):
    assert np.mean([rank[name].item() for rank in ranks]) == pytest.approx(value, rel=1e-5)
    for rank in ranks:
        assert_equal_gradients(gradients, {n: rank[f"{name} {n}"] for n in gradients})


def test_it_is_weighted_and_distilled_as_sentence_transformers_does():
    """But for the scale: their divergence is times the squared temperature, and their margins are not divided by it."""
    generator = torch.Generator().manual_seed(7)
    embedded, groups = [torch.randn(6, 5, generator=generator) for _ in range(4)], all_different(6, 3)
    for mode in ("in_batch_negatives", "hard_negatives", "all_negatives"):
        theirs = MultipleNegativesRankingLoss(None, scale=10, hardness_mode=mode, hardness_strength=5.0)
        ours = InfoNCE(static_model(), 0.1, hardness_mode=mode, hardness_strength=5.0)
        wanted = theirs.compute_loss_from_embeddings(embedded, None).item()
        assert ours.from_embeddings(embedded, groups).item() == pytest.approx(wanted, rel=1e-5)
    labels = torch.cat([groups, torch.arange(6)[:, None]], dim=1)
    kl = DistillKLDivLoss(None, pairwise_cos_sim, temperature=0.2).compute_loss_from_embeddings(embedded, SCORES[:6])
    margins = MarginMSELoss(None, pairwise_cos_sim).compute_loss_from_embeddings(embedded, SCORES[:6])
    for kind, wanted in (("kl", kl), ("margin_mse", margins)):
        ours = InfoNCE(static_model(), 0.1, distilled=Distilled(kind, 1.0, 0.2, SCORES))
        assert ours.from_embeddings(embedded, labels).item() == pytest.approx(wanted.item() / 0.2**2, rel=1e-5)


@pytest.mark.parametrize("margin", [0.0, 0.2])
@pytest.mark.parametrize("symmetric", [False, True])
def test_what_the_guide_holds_nearer_than_the_positive_is_no_negative(symmetric, margin):
    generator = torch.Generator().manual_seed(1)
    embedded = [torch.randn(7, 5, generator=generator) for _ in range(4)]
    groups, guided = all_different(7, 3), torch.rand(7, 21, generator=generator)
    loss = InfoNCE(static_model(), 0.3, symmetric, guide=static_model(), margin=margin)
    loss.guiding = guided
    found = loss.from_embeddings(embedded, groups).item()
    wanted = by_hand(embedded, groups.tolist(), 0.3, symmetric, guided=guided.tolist(), margin=margin)
    assert found == pytest.approx(wanted.item(), rel=1e-5)
    assert found < by_hand(embedded, groups.tolist(), 0.3, symmetric).item()


@pytest.mark.parametrize("size", [None, 4])
def test_the_guide_judges_each_batch_and_stays_as_it_is(transformer, size):
    """The guide's own cosines of the batch, whatever the model has become, and no gradients of its own."""
    model, guide = (SentenceTransformer(str(transformer), device="cpu") for _ in range(2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    features, groups = columns(model), all_different(6, 3)
    loss = InfoNCE(model, 0.1, guide=guide, margin=0.01, mini_batch_size=size)
    value, gradients = value_and_gradients(model, loss, features, groups)
    with torch.no_grad():
        guided, embedded = (
            [encoder(dict(column))["sentence_embedding"] for column in features] for encoder in (guide, model)
        )
    unit = [F.normalize(column, dim=-1) for column in guided]
    cosines = (unit[0] @ torch.cat(unit[1:]).T).tolist()
    assert value == pytest.approx(by_hand(embedded, groups.tolist(), 0.1, guided=cosines, margin=0.01).item(), rel=1e-4)
    assert gradients and all(parameter.grad is None for parameter in guide.parameters())


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_with_clashes_it_is_the_formula(seed, symmetric, in_batch):
    generator = torch.Generator().manual_seed(seed)
    embedded = [torch.randn(7, 5, generator=generator) for _ in range(4)]
    groups = torch.randint(6, (7, 3), generator=generator)
    loss = InfoNCE(static_model(), 0.3, symmetric, in_batch)
    wanted = by_hand(embedded, groups.tolist(), 0.3, symmetric, in_batch)
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize(("symmetric", "in_batch"), [(False, True), (True, True), (False, False)])
def test_texts_of_groups_that_follow_a_row_s_own_are_none_of_its_negatives(symmetric, in_batch):
    """Both queries are the first positive's text: the second's loss is without it, as if it were no document."""
    embedded = [torch.tensor(rows) for rows in ([[1.0, 0], [1, 0]], [[1.0, 0], [0, 1]], [[0.0, -1], [0, -1]])]
    loss = InfoNCE(static_model(), 1.0, symmetric, in_batch)
    groups = torch.tensor([[0, 2, 0], [1, 3, 0]])
    found = loss.from_embeddings(embedded, groups).item()
    negatives = 2 if in_batch else 1
    first = math.log(1 + (negatives + in_batch) * math.exp(-1))
    second = math.log(1 + negatives)
    # Back, the first positive has the first query alone, the second both.
    back = (0 + math.log(2)) / 2
    wanted = (first + second) / 2
    assert found == pytest.approx((wanted + back) / 2 if symmetric else wanted, rel=1e-6)


def test_without_the_batch_s_negatives_a_query_has_its_own_alone():
    """Two queries at right angles to their positive and first negative, and at 120 degrees to the second: the loss of
    each is log(1 + e^0 + e^-1/2), whatever the other's texts."""
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    embedded = [query, query.roll(1, 0) * 2, query.roll(1, 0) * 3, -query + torch.tensor([[0, 3**0.5], [3**0.5, 0]])]
    loss = InfoNCE(static_model(), 1.0, in_batch=False)
    wanted = math.log(1 + math.exp(0) + math.exp(-0.5))
    assert loss.from_embeddings(embedded, all_different(2, 3)).item() == pytest.approx(wanted, rel=1e-6)
    alone = loss.from_embeddings([column[:1] for column in embedded], all_different(1, 3))
    assert alone.item() == pytest.approx(wanted, rel=1e-6)
    # A negative of the positive's own group is none, though it be the query's own.
    groups = torch.tensor([[0, 1, 0], [3, 4, 3]])
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(math.log(2), rel=1e-6)
    whole = InfoNCE(static_model(), 1.0).from_embeddings(embedded, all_different(2, 3)).item()
    assert whole > wanted + 0.5


def test_without_the_batch_s_negatives_a_batch_is_the_mean_of_its_rows():
    generator = torch.Generator().manual_seed(3)
    embedded = [torch.randn(9, 5, generator=generator) for _ in range(5)]
    groups = torch.randint(4, (9, 4), generator=generator)
    loss = InfoNCE(static_model(), 0.1, in_batch=False)
    rows = [loss.from_embeddings([c[i : i + 1] for c in embedded], groups[i : i + 1]).item() for i in range(9)]
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(np.mean(rows), rel=1e-5)


def test_a_text_of_the_querys_own_group_has_no_influence():
    loss = InfoNCE(static_model(), 0.1)
    embedded = [torch.randn(3, 5, generator=torch.Generator().manual_seed(s)) for s in range(3)]
    # Rows 0 and 1 are one passage in two languages, and the negative of row 2 is that passage too.
    groups = torch.tensor([[8, 1], [8, 2], [9, 8]])
    query = embedded[0].requires_grad_()

    def reached(column, row):
        """The queries whose gradient moves with a document."""
        (before,) = torch.autograd.grad(loss.from_embeddings(embedded, groups), query)
        moved = [c.detach().clone() for c in embedded]
        moved[column][row] *= -1
        moved[0] = query
        (after,) = torch.autograd.grad(loss.from_embeddings(moved, groups), query)
        return [i for i in range(3) if not torch.equal(before[i], after[i])]

    assert [reached(1, row) for row in range(3)] == [[0, 2], [1, 2], [0, 1, 2]]
    assert [reached(2, row) for row in range(3)] == [[0, 1, 2], [0, 1, 2], [2]]


def test_a_batch_of_one_group_teaches_nothing():
    embedded = [torch.randn(4, 5, requires_grad=True) for _ in range(3)]
    value = InfoNCE(static_model(), 0.1, symmetric=True).from_embeddings(embedded, torch.zeros(4, 2, dtype=torch.long))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert all(c.grad.abs().max() < 1e-6 for c in embedded)


def test_of_a_matryoshka_the_loss_is_the_mean_over_its_sizes(transformer):
    """Each size is as if the vectors had no other numbers; in mini-batches too."""
    model = SentenceTransformer(str(transformer), device="cpu")
    whole = model.get_embedding_dimension()
    generator = torch.Generator().manual_seed(4)
    embedded, groups = [torch.randn(7, whole, generator=generator) for _ in range(4)], all_different(7, 3)
    alone = [by_hand([c[:, :size] for c in embedded], groups.tolist(), 0.3).item() for size in (whole, 5, 2)]
    loss = InfoNCE(model, 0.3, matryoshka=[5, 2])
    assert loss.from_embeddings(embedded, groups).item() == pytest.approx(np.mean(alone), rel=1e-5)
    found = [
        value_and_gradients(
            model, InfoNCE(model, 0.3, matryoshka=[5, 2], mini_batch_size=n), columns(model), groups[:6]
        )
        for n in (None, 4)
    ]
    theirs = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model, scale=1 / 0.3), [whole, 5, 2])
    value, gradients = value_and_gradients(model, theirs, columns(model), None)
    for own in found:
        assert own[0] == pytest.approx(value / 3, rel=1e-5)
        assert_equal_gradients(own[1], {name: gradient / 3 for name, gradient in gradients.items()})
