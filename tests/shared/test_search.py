"""Exact search: against sorting everything."""

import numpy as np
import pytest

from stages.shared import on_gpu, search
from stages.shared.encoder import normalized


def brute(queries, corpus):
    """Row numbers, best first, ties by the higher row; with their scores. Small whole numbers make scores exact."""
    scores = (queries.astype(np.int64) @ corpus.astype(np.int64).T).astype(np.float32)
    rows = np.array([sorted(range(len(corpus)), key=lambda r: (-row[r], -r)) for row in scores])
    return np.take_along_axis(scores, rows, 1), rows


def whole_numbers(seed, queries, corpus, dimension=4, largest=2):
    rng = np.random.default_rng(seed)
    sizes = (queries, corpus)
    return [rng.integers(-largest, largest + 1, (n, dimension)).astype(np.float32) for n in sizes]


@pytest.mark.parametrize("k", [1, 3, 10, 40, 57, 100])
@pytest.mark.parametrize("seed", range(3))
def test_top_k_is_brute_force_with_ties_even_at_the_cut(k, seed):
    queries, corpus = whole_numbers(seed, 30, 57)
    scores, rows = search.top_k(queries, corpus, k)
    wanted_scores, wanted_rows = brute(queries, corpus)
    assert np.array_equal(scores, wanted_scores[:, :k])
    assert np.array_equal(rows, wanted_rows[:, :k])


@pytest.mark.parametrize("k", [5, 120])
def test_top_k_with_many_passages_and_ties(k):
    queries, corpus = whole_numbers(9, 50, 3000)
    _, rows = search.top_k(queries, corpus, k)
    assert np.array_equal(rows, brute(queries, corpus)[1][:, :k])


def test_top_k_without_ties():
    rng = np.random.default_rng(0)
    queries, corpus = (normalized(rng.normal(size=(n, 32)).astype(np.float32)) for n in (40, 500))
    scores, rows = search.top_k(queries, corpus, 20)
    exact = queries.astype(np.float64) @ corpus.astype(np.float64).T
    assert np.array_equal(rows, np.argsort(-exact, axis=1)[:, :20])
    assert np.allclose(scores, np.take_along_axis(exact, rows, 1), atol=1e-6)
    assert scores.dtype == np.float32


@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_places_in_the_whole_order(seed):
    # More queries than a block, in no order.
    queries, corpus = whole_numbers(seed, 2 * search.QUERY_BLOCK + 9, 80)
    rng = np.random.default_rng(seed)
    asked, wanted = rng.integers(len(queries), size=500), rng.integers(len(corpus), size=500)
    found, scores = search.ranks(queries, corpus, asked, wanted)
    _, order = brute(queries, corpus)
    places = [list(order[q]).index(c) + 1 for q, c in zip(asked, wanted, strict=True)]
    assert found.tolist() == places
    assert np.array_equal(scores, np.einsum("ij,ij->i", queries[asked], corpus[wanted]))


def test_ranks_of_nothing():
    queries, corpus = whole_numbers(0, 3, 5)
    none = np.array([], np.int64)
    assert [a.size for a in search.ranks(queries, corpus, none, none)] == [0, 0]


@pytest.mark.parametrize("kind", [np.uint32, np.int64])
def test_ranks_among_pairs_are_those_of_the_pairs_alone(kind, monkeypatch):
    monkeypatch.setattr(search, "PAIRS", 7)
    queries, corpus = whole_numbers(4, 6, 40)
    rng = np.random.default_rng(4)
    pairs = [(q, p) for q in (0, 1, 3, 5) for p in rng.choice(40, 11, replace=False)]
    rng.shuffle(pairs)
    query_rows, corpus_rows = (np.array(side, kind) for side in zip(*pairs, strict=True))
    ranks, scores = search.among(queries, corpus, query_rows, corpus_rows)
    for q in (0, 1, 3, 5):
        own = [(float(queries[q] @ corpus[p]), p) for name, p in pairs if name == q]
        order = sorted(own, reverse=True)
        found = {p: (rank, score) for (name, p), rank, score in zip(pairs, ranks, scores, strict=True) if name == q}
        assert found == {p: (rank, score) for rank, (score, p) in enumerate(order, 1)}


def test_no_pairs_have_no_ranks():
    queries, corpus = whole_numbers(1, 2, 3)
    ranks, scores = search.among(queries, corpus, np.zeros(0, np.uint32), np.zeros(0, np.uint32))
    assert len(ranks) == len(scores) == 0


def mapped(vectors, folder):
    file = np.memmap(folder / "vectors", vectors.dtype, "w+", shape=vectors.shape)
    file[:] = vectors
    return file


def test_mapped_vectors_are_searched_in_blocks_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "SEARCHED_NUMBERS", 2**16)
    rng = np.random.default_rng(0)
    queries, corpus = (normalized(rng.normal(size=(n, 32)).astype(np.float32)) for n in (70, 9000))
    corpus[rng.integers(9000, size=4000)] = corpus[rng.integers(9000, size=4000)]
    held = mapped(corpus, tmp_path)
    assert len(list(search.blocks(held))) == 5
    for k in (3, 150):
        whole = search.top_k(queries, corpus, k)
        assert all(np.array_equal(*both) for both in zip(whole, search.top_k(queries, held, k), strict=True))


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_in_blocks_ties_reach_across_them_and_ranks_are_exact(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(search, "SEARCHED_NUMBERS", 2**12)
    queries, corpus = whole_numbers(5, 70, 3000)
    held = mapped(corpus.astype(kind), tmp_path)
    assert len(list(search.blocks(held))) == 3
    wanted_scores, order = brute(queries, corpus)
    scores, rows = search.top_k(queries, held, 120)
    assert np.array_equal(scores, wanted_scores[:, :120]) and np.array_equal(rows, order[:, :120])
    rng = np.random.default_rng(5)
    asked, wanted = rng.integers(70, size=200), rng.integers(3000, size=200)
    found, scores = search.ranks(queries, held, asked, wanted)
    assert found.tolist() == [list(order[q]).index(c) + 1 for q, c in zip(asked, wanted, strict=True)]
    assert np.array_equal(scores, np.einsum("ij,ij->i", queries[asked], corpus[wanted]))


@pytest.fixture
def gpu(monkeypatch):
    """What a GPU would compute, computed by torch on the processor."""
    import torch

    monkeypatch.setattr(on_gpu, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(on_gpu, "SCORES", 2**14)
    monkeypatch.setattr(on_gpu, "WORTH", 0)
    monkeypatch.setattr(search, "SEARCHED_NUMBERS", 2**12)
    monkeypatch.setattr(search.faiss, "knn", None)


@pytest.mark.parametrize("k", [3, 120])
def test_a_gpu_ranks_as_the_processor_does(gpu, tmp_path, k):
    queries, corpus = whole_numbers(6, 2 * search.QUERY_BLOCK + 9, 3000)
    wanted_scores, order = brute(queries, corpus)
    rng = np.random.default_rng(6)
    asked, wanted = rng.integers(len(queries), size=300), rng.integers(3000, size=300).astype(np.uint32)
    places = [list(order[q]).index(c) + 1 for q, c in zip(asked, wanted, strict=True)]
    for vectors in (corpus, corpus[:1000], mapped(corpus.astype(np.float16), tmp_path)):
        if len(vectors) == len(corpus):
            scores, rows = search.top_k(queries, vectors, k)
            assert np.array_equal(scores, wanted_scores[:, :k]) and np.array_equal(rows, order[:, :k])
            found, scores = search.ranks(queries, vectors, asked, wanted)
            assert found.tolist() == places
            assert np.array_equal(scores, np.einsum("ij,ij->i", queries[asked], corpus[wanted]))
        else:
            assert np.array_equal(search.top_k(queries, vectors, k)[1], brute(queries, vectors)[1][:, :k])


def test_few_products_are_the_processors(gpu, monkeypatch):
    queries, corpus = whole_numbers(6, 3, 20)
    assert on_gpu.pays(queries, corpus)
    monkeypatch.setattr(on_gpu, "WORTH", 3 * corpus.size + 1)
    assert not on_gpu.pays(queries, corpus)
    monkeypatch.setattr(on_gpu, "WORTH", 0)
    monkeypatch.setattr(on_gpu, "device", lambda: None)
    assert not on_gpu.pays(queries, corpus)
