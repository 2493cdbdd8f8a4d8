"""Approximate search: exact where its index is, its recall counted, and what faiss does not know."""

import numpy as np
import pytest

from stages.settings.candidates import ApproximateIndex
from stages.shared import search
from stages.shared.approximate import Approximate
from stages.shared.encoder import normalized
from stages.shared.errors import UserError


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return [normalized(rng.normal(size=(n, 16)).astype(np.float32)) for n in (40, 900)]


def test_an_index_of_all_finds_what_exact_search_finds(vectors):
    scores, rows, recall = Approximate(vectors[1], ApproximateIndex(factory="Flat")).top_k(vectors[0], 20)
    wanted = search.top_k(*vectors, 20)
    assert recall == 1 and np.array_equal(rows, wanted[1])
    np.testing.assert_allclose(scores, wanted[0], atol=1e-6)


def test_recall_is_of_exact_search_and_scores_are_of_the_vectors(vectors):
    queries, corpus = vectors
    settings = ApproximateIndex(factory="IVF16,SQ4", search="nprobe=2", sample=40)
    scores, rows, recall = Approximate(corpus, settings).top_k(queries, 20)
    _, exact = search.top_k(queries, corpus, 20)
    assert recall == pytest.approx(np.mean([len({*a} & {*b}) / 20 for a, b in zip(exact, rows, strict=True)]), abs=1e-5)
    assert 0.1 < recall < 1
    np.testing.assert_allclose(scores, np.take_along_axis(queries @ corpus.T, rows, 1), atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert np.array_equal(rows, Approximate(corpus, settings).top_k(queries, 20)[1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"factory": "Flatt"}, "write what faiss's index_factory takes"),
        ({"factory": "IVF1024,Flat"}, "cannot be built of 900 passages"),
        ({"factory": "Flat", "search": "nprobes=1"}, "search 'nprobes=1'"),
        ({"factory": "IVF64,Flat", "search": "nprobe=1"}, "fewer than candidates.depth = 200"),
    ],
)
def test_what_cannot_be_is_one_sentence(vectors, given, message):
    with pytest.raises(UserError, match=message) as told:
        Approximate(vectors[1], ApproximateIndex(**given)).top_k(vectors[0], 200)
    assert "\n" not in str(told.value)
