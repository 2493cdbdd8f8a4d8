"""How similar labels are, by hand, and draws by it."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.negatives import labels
from stages.negatives.answers import Answers
from stages.schemas.collected import COLLECTED_PASSAGES, COLLECTED_QRELS, COLLECTED_QUERIES, GROUP_LABELS
from stages.schemas.similarity import SIMILARITY
from stages.settings.negatives import LabelWeights, Negatives
from stages.shared.collection import Collection
from stages.shared.errors import UserError

NAMES = ["card/lost", "card/stolen", "cash", "loan/home/late", "loan/home/new"]
MATRIX = np.array(
    [
        [1.0, 0.8, 0.3, -0.2, 0.1],
        [0.8, 1.0, 0.5, 0.0, 0.4],
        [0.3, 0.5, 1.0, 0.2, 0.6],
        [-0.2, 0.0, 0.2, 1.0, 0.9],
        [0.1, 0.4, 0.6, 0.9, 1.0],
    ]
)


def stored(**measures):
    """SIMILARITY of the labels NAMES."""
    rows = [
        (kind, name, row)
        for kind, matrix in sorted(measures.items())
        for name, row in zip(NAMES, np.asarray(matrix).tolist(), strict=True)
    ]
    return pl.DataFrame(rows, schema=SIMILARITY, orient="row")


def matrix(table=None, names=NAMES, seed=1, **settings):
    return labels.matrix(names, LabelWeights(**settings), stored() if table is None else table, seed)


def strategy(**settings):
    return Negatives(**{"k": 2, "pick": "weighted", "labels": {"similarity": {"path": 1.0}}} | settings)


def off_diagonal(values):
    return values[~np.eye(len(values), dtype=bool)]


def test_path_similarity_by_hand():
    found = labels.paths(NAMES)
    assert np.allclose(
        found,
        [
            [1, 1 / 3, 1 / 4, 1 / 6, 1 / 6],
            [1 / 3, 1, 1 / 4, 1 / 6, 1 / 6],
            [1 / 4, 1 / 4, 1, 1 / 5, 1 / 5],
            [1 / 6, 1 / 6, 1 / 5, 1, 1 / 3],
            [1 / 6, 1 / 6, 1 / 5, 1 / 3, 1],
        ],
    )
    # A label above another; and the same word below different parents.
    assert labels.paths(["a", "a/b", "c/b"])[0, 1] == 1 / 2
    assert labels.paths(["a", "a/b", "c/b"])[1, 2] == 1 / 5
    assert np.array_equal(matrix(similarity={"path": 2.0}), found)


def test_measures_are_weighed_and_looked_up_by_name():
    other = MATRIX**2
    table = stored(descriptions=MATRIX, given=other)
    found = matrix(table, similarity={"descriptions": 3.0, "given": 1.0})
    assert np.allclose(found, (3 * MATRIX + other) / 4)
    some = [NAMES[1], NAMES[3], NAMES[4]]
    found = matrix(table.reverse(), some, similarity={"given": 1.0})
    assert np.allclose(found, other[np.ix_([1, 3, 4], [1, 3, 4])])


def test_a_measure_that_is_absent_is_told_with_its_reason():
    table = stored(centroids=MATRIX)
    with pytest.raises(UserError, match=r"names descriptions, .* lacks, for some label has no description"):
        matrix(table, similarity={"centroids": 1.0, "descriptions": 1.0})
    with pytest.raises(UserError, match=r"names given, .* set corpus\.labelled\.similarity"):
        matrix(table, similarity={"given": 1.0})
    with pytest.raises(UserError, match="no centroids of the label 'new'"):
        matrix(table, ["cash", "new"], similarity={"centroids": 1.0})


def test_a_level_gives_labels_the_mean_of_their_blocks():
    found = matrix(stored(given=MATRIX), similarity={"given": 1.0}, level=1)
    cards, loans = [0, 1], [3, 4]
    assert found[0, 1] == found[1, 0] == pytest.approx(0.8)
    assert found[3, 4] == pytest.approx(0.9)
    assert np.allclose(found[np.ix_(cards, loans)], (-0.2 + 0.1 + 0.0 + 0.4) / 4)
    assert np.allclose(found[cards, 2], 0.4)
    assert np.allclose(found[2, loans], 0.4)
    # A block of three: the mean of its three pairs, without what each is to itself.
    three = labels.coarsened(MATRIX[:3, :3], ["a/1", "a/2", "a/3"], 1)
    assert np.allclose(off_diagonal(three), (0.8 + 0.3 + 0.5) / 3)
    # Deeper than the labels are, it changes nothing.
    assert np.allclose(off_diagonal(labels.coarsened(MATRIX, NAMES, 3)), off_diagonal(MATRIX))
    assert np.allclose(labels.coarsened(labels.paths(NAMES), NAMES, 2)[3, 4], 1 / 3)


def test_noise_shuffles_the_values_and_mixes_them_in():
    table = stored(given=MATRIX)
    given = stored(given=MATRIX)["values"].list.to_array(5).to_numpy().astype(float)
    plain = matrix(table, similarity={"given": 1.0}, noise=0.0)
    assert np.array_equal(plain, given)
    whole = matrix(table, similarity={"given": 1.0}, noise=1.0)
    assert sorted(off_diagonal(whole)) == sorted(off_diagonal(given))
    assert not np.array_equal(whole, given)
    assert np.array_equal(whole, whole.T)
    part = matrix(table, similarity={"given": 1.0}, noise=0.25)
    assert np.allclose(part, 0.75 * given + 0.25 * whole)
    assert not np.array_equal(matrix(table, similarity={"given": 1.0}, noise=1.0, seed=2), whole)
    # Of a similarity that is not symmetric too, every value stays, and pairs stay pairs.
    lopsided = np.arange(25.0).reshape(5, 5)
    shuffled = labels.noised(lopsided, NAMES, 1.0, 1)
    pairs = {tuple(sorted((lopsided[i, j], lopsided[j, i]))) for i in range(5) for j in range(i)}
    assert {tuple(sorted((shuffled[i, j], shuffled[j, i]))) for i in range(5) for j in range(i)} == pairs


def test_noise_says_nothing_of_the_similarity():
    names = [f"l{i:03}" for i in range(200)]
    random = np.random.default_rng(1).random((200, 200))
    similarity = random + random.T
    shuffled = labels.noised(similarity, names, 1.0, 1)
    upper = np.triu_indices(200, 1)
    assert abs(stats.spearmanr(similarity[upper], shuffled[upper]).statistic) < 0.03


def test_weights_are_raised_and_floored_and_no_label_is_its_own():
    found = labels.weights(MATRIX, strategy())
    assert np.allclose(found[0] / found[0, 1], [0, 1, 0.3 / 0.8, 0, 0.1 / 0.8])
    found = labels.weights(MATRIX, strategy(floor=0.2))
    assert np.allclose(found[0] / found[0, 1], [0, 1, 0.3 / 0.8, 0.2 / 0.8, 0.2 / 0.8])
    found = labels.weights(MATRIX, strategy(temperature=0.5))
    assert np.allclose(found[0] / found[0, 1], [0, 1, (0.3 / 0.8) ** 2, 0, (0.1 / 0.8) ** 2])
    cold = labels.weights(MATRIX / 1e3, strategy(temperature=0.001))
    assert np.array_equal(cold.argmax(axis=1), [1, 0, 4, 4, 3])
    assert np.allclose(cold.max(axis=1), 1)
    assert not labels.weights(np.zeros((2, 2)), strategy()).any()
    assert MATRIX[0, 0] == 1.0  # nothing is changed in place


# Two or three passages a label, and one without a label.
LABELLED_PASSAGES = [(f"p{i:02}", NAMES[i % 5]) for i in range(12)] + [("x", "")]


def answers(queries, texts=()):
    """`queries`: rows (query, label); `texts`: rows (query, text)."""
    rows = [(name, "en", label or name, "", name, "train") for name, label in LABELLED_PASSAGES]
    passages = pl.DataFrame(rows, COLLECTED_PASSAGES, orient="row")
    qrels = pl.DataFrame([(*row, 1) for row in queries], COLLECTED_QRELS, orient="row")
    names = pl.DataFrame([(name, "") for name in NAMES], GROUP_LABELS, orient="row")
    asked = [{"query": query, "lang": "en", "text": text, "split": "train"} for query, text in texts]
    stored = Collection(passages, pl.DataFrame(asked, COLLECTED_QUERIES), qrels, qrels.clear(), names)
    return Answers(stored, pl.Series("passage", [name for name, _ in LABELLED_PASSAGES]))


def pick(queries, settings, seed=1, name="mixed", texts=()):
    own = answers(queries, texts)
    found = labels.pick(name, settings, own, pl.Series([q for q, _ in queries]), MATRIX, seed)
    return np.array([[LABELLED_PASSAGES[n][0] for n in row] for row in found]), np.array(
        [[LABELLED_PASSAGES[n][1] for n in row] for row in found]
    )


def test_passages_are_picked_as_often_as_their_labels_are_similar():
    queries = [(f"q{i}", "cash") for i in range(9_000)]
    for settings, weigh in (
        (strategy(k=1), lambda s: s),
        (strategy(k=1, temperature=0.5), lambda s: s**2),
        (strategy(k=1, floor=0.4), lambda s: np.maximum(s, 0.4)),
        (strategy(k=1, pick="random"), np.ones_like),
    ):
        names, _ = pick(queries, settings)
        own = [(name, MATRIX[2, NAMES.index(label)]) for name, label in LABELLED_PASSAGES if label not in ("cash", "")]
        wanted = weigh(np.array([value for _, value in own]))
        counts = [(names == name).sum() for name, _ in own]
        assert sum(counts) == 9_000
        assert stats.chisquare(counts, wanted / wanted.sum() * 9_000).pvalue > 0.001


def test_no_pick_has_the_query_s_label_or_a_label_that_is_not_like_it():
    queries = [(f"q{i}", NAMES[i % 5]) for i in range(500)]
    for settings in (strategy(), strategy(pick="top"), strategy(pick="random")):
        _, found = pick(queries, settings)
        own = np.array([NAMES.index(label) for _, label in queries])
        theirs = np.vectorize(NAMES.index)(found)
        assert (own[:, None] != theirs).all()
        assert (MATRIX[own[:, None], theirs] > 0).all()
    # A floor lets the others in.
    _, found = pick([(f"q{i}", "loan/home/late") for i in range(500)], strategy(floor=0.2))
    assert set(found.ravel()) == {*NAMES} - {"loan/home/late"}


@pytest.mark.parametrize("how", ["weighted", "random", "top"])
def test_a_query_s_own_text_is_not_picked_under_another_label(how):
    """The passage that is every other query's text; the rest of what these get, and the others' picks, stay."""
    queries = [(f"q{i}", "cash") for i in range(200)]
    settings = strategy(k=3, pick=how)
    before, _ = pick(queries, settings)
    names, counts = np.unique(before, return_counts=True)
    often = str(names[counts.argmax()])
    after, _ = pick(queries, settings, texts=[(name, f"{often}?") for name, _ in queries[::2]])
    assert (before[::2] == often).any() and not (after[::2] == often).any()
    assert (after[1::2] == before[1::2]).all()
    for old, new in zip(before[::2], after[::2], strict=True):
        stay = [name for name in old if name != often]
        assert list(new[: len(stay)]) == stay and len(set(new)) == 3


def test_top_takes_the_most_similar():
    queries = [(f"q{i}", "loan/home/new") for i in range(50)]
    names, found = pick(queries, strategy(k=3, pick="top"))
    assert (found == ["loan/home/late", "loan/home/late", "cash"]).all()
    assert len({tuple(row) for row in names.tolist()}) > 2
    # The floor of a weight does not make labels similar.
    assert (pick(queries, strategy(k=3, pick="top", floor=1.0))[1] == found).all()


def test_more_than_there_are_is_told():
    # Like loan/home/late, above 0: cash and loan/home/new, each with two passages.
    queries = [("q0", "card/lost"), ("q1", "loan/home/late")]
    assert pick(queries, strategy(k=4))[0].shape == (2, 4)
    for way in ("weighted", "random", "top"):
        with pytest.raises(UserError) as told:
            pick(queries, strategy(k=5, pick=way), name="hard")
        assert str(told.value) == (
            "negatives.hard wants 5 passages of labels like 'loan/home/late', but only 4 have a similarity above 0: "
            "lower k or raise floor"
        )
    assert pick(queries, strategy(k=5, floor=0.1))[0].shape == (2, 5)
