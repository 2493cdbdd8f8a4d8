"""Draws without replacement: their frequencies against the probabilities they promise."""

import itertools

import numpy as np
import pytest
from scipy import stats

from stages.shared import sampling, seeds

# Four labels of 1 to 4 entries, in no order, and an entry without a label.
ENTRIES = np.array([2, 0, 3, 1, 3, -1, 1, 3, 2, 3, 1])
# Where every entry has a group, the one without a label is its own.
GROUPS = np.where(ENTRIES < 0, 4, ENTRIES)
WEIGHTS = np.array(
    [
        [0.0, 0.5, 0.125, 1.0],
        [0.3, 0.0, 0.9, 0.1],
        [2.0, 1.0, 0.0, 0.0],
        [0.4, 0.4, 0.4, 0.0],
    ]
)


def names(count, prefix="q"):
    return [f"{prefix}{i}" for i in range(count)]


def in_order(weights, k):
    """The probability of each k entries drawn in this order (Plackett-Luce)."""
    found = {}
    for order in itertools.permutations(np.flatnonzero(weights).tolist(), k):
        chance, left = 1.0, weights.sum()
        for entry in order:
            chance *= weights[entry] / left
            left -= weights[entry]
        found[order] = chance
    return found


def fits(drawn, chances):
    """The p-value of a chi-square test that rows of `drawn` are as frequent as `chances` say."""
    counts = dict.fromkeys(chances, 0)
    for row in drawn.tolist():
        counts[tuple(row)] += 1  # KeyError: what cannot be
    wanted = np.array(list(chances.values())) * len(drawn)
    assert wanted.min() >= 5
    return stats.chisquare(list(counts.values()), wanted).pvalue


@pytest.mark.parametrize("label", range(4))
def test_draws_by_label_are_as_frequent_as_weights_say(label):
    queries = names(20_000)
    drawn = sampling.by_label(queries, np.full(20_000, label), ENTRIES, WEIGHTS, 2, 1)
    own = np.where(ENTRIES >= 0, WEIGHTS[label][ENTRIES], 0.0)
    assert fits(drawn[:, :1], in_order(own, 1)) > 0.001
    # The second draw, given the first.
    assert fits(drawn, in_order(own, 2)) > 0.001


def test_gumbel_keys_draw_as_weights_say():
    weights = np.array([0.0, 0.5, 1.0, 0.25, 3.0, 0.25])
    uniforms = seeds.uniform(seeds.numbers(1, names(20_000))[:, None], seeds.numbers(1, names(6, "p"))[None, :])
    with np.errstate(divide="ignore"):
        keys = sampling.gumbel(np.log(weights), uniforms)
    drawn = np.argsort(-keys, axis=1)[:, :2]
    assert np.isneginf(keys[:, 0]).all()
    assert fits(drawn[:, :1], in_order(weights, 1)) > 0.001
    assert fits(drawn, in_order(weights, 2)) > 0.001


def test_a_uniform_number_of_0_drops_nothing():
    assert np.isfinite(sampling.gumbel(np.zeros(2), np.array([0.0, 1 - 2.0**-53]))).all()


def test_no_label_is_its_own_and_nothing_is_drawn_twice():
    labels = np.arange(400) % 4
    drawn = sampling.by_label(names(400), labels, ENTRIES, WEIGHTS, 4, 1)
    assert not (ENTRIES[drawn] == labels[:, None]).any()
    assert (ENTRIES[drawn] >= 0).all()
    assert (WEIGHTS[labels[:, None], ENTRIES[drawn]] > 0).all()
    assert {len(set(row)) for row in drawn.tolist()} == {4}
    # Label 2 has exactly four entries with a weight: all of them.
    assert {frozenset(row) for row in drawn[labels == 2].tolist()} == {frozenset({1, 3, 6, 10})}


def test_weights_far_apart_are_drawn_as_exactly():
    """What is left after the heaviest is lost in the rounding of the sum, were it taken from the sum."""
    weights = np.array([[0.0, 1.0, 1e-20, 3e-20, 1e-300]])
    entries = np.array([1, 2, 3, 3, 4])
    drawn = sampling.by_label(names(5_000), np.zeros(5_000, int), entries, weights, 5, 1)
    assert (drawn[:, 0] == 0).all()
    assert (drawn[:, 4] == 4).all()
    counts = np.bincount(drawn[:, 1], minlength=5)
    assert stats.chisquare(counts[1:4], np.array([1, 3, 3]) / 7 * 5_000).pvalue > 0.001


@pytest.mark.parametrize("seed", range(20))
def test_draws_are_those_of_a_slow_computation(seed):
    """Point at a line of what is left, laid out anew for each draw."""
    random = np.random.default_rng(seed)
    size = int(random.integers(3, 12))
    edges = np.concatenate([[0], np.cumsum(random.integers(1, 6, size))]).astype(float)  # sums without rounding
    rows, k = 30, int(random.integers(1, 4))
    held = [sorted(random.choice(size, random.integers(0, size - k + 1), replace=False).tolist()) for _ in range(rows)]
    width = max(map(len, held))
    taken = np.array([own + [size] * (width - len(own)) for own in held], int).reshape(rows, width)
    uniforms = random.random((rows, k))
    found = sampling._draw(edges, uniforms, taken)
    for row in range(rows):
        gone = set(held[row])
        for nth in range(k):
            left = [i for i in range(size) if i not in gone]
            ends = np.cumsum([edges[i + 1] - edges[i] for i in left])
            wanted = left[int(np.sum(ends <= uniforms[row, nth] * ends[-1]))]
            assert found[row, nth] == wanted
            gone.add(wanted)


def test_rounding_draws_nothing_twice():
    """Numbers that point at the very end of what is left, and at its beginning."""
    for seed in range(200):
        edges = np.concatenate([[0.0], np.cumsum(np.sort(np.random.default_rng(seed).random(7)))])
        uniforms = np.array(list(itertools.product([0.0, 1 - 2.0**-53], repeat=6)))
        drawn = sampling._draw(edges, uniforms)
        assert drawn.max() < 7
        assert {len(set(row)) for row in drawn.tolist()} == {6}


def test_the_most_similar_come_first_and_equals_are_drawn():
    similarity = np.array([[9.0, 0.2, -0.5, 0.2], [0.0, 0.0, 0.0, -np.inf], [0.0] * 4, [0.0] * 4])
    entries = np.array([1, 3, 2, 1, 2, -1, 0])
    similarity[0, 0] = -np.inf
    drawn = sampling.most_similar(names(12_000), np.zeros(12_000, int), entries, similarity, 4, 1)
    chances = {(*first, last): 1 / 12 for first in itertools.permutations([0, 1, 3]) for last in (2, 4)}
    assert fits(drawn, chances) > 0.001
    with pytest.raises(sampling.Short) as short:
        sampling.most_similar(["q"], np.array([0]), entries, similarity, 6, 1)
    assert (short.value.row, short.value.left) == (0, 5)


def test_draws_from_outside_are_uniform_over_all_that_is_left():
    """Of label 1, without entries 0 and 9 (and 3, which is of the label anyway, and 0 again)."""
    count = 20_000
    rows = np.repeat(np.arange(count), 4)
    excluded = (rows, np.tile([9, 0, 3, 0], count))
    drawn = sampling.outside(names(count), np.full(count, 1), ENTRIES, excluded, 2, 1)
    own = np.ones(len(ENTRIES))
    own[[0, 9, *np.flatnonzero(ENTRIES == 1)]] = 0
    assert fits(drawn, in_order(own, 2)) > 0.001


@pytest.mark.parametrize("chunk", [1, 7, 1 << 22])
def test_what_is_excluded_is_each_query_s_own(chunk, monkeypatch):
    monkeypatch.setattr(sampling, "MATRIX_NUMBERS", chunk)
    random = np.random.default_rng(3)
    count, entries = 300, random.integers(-1, 5, 40)
    labels = random.integers(-2, 5, count)
    rows = np.repeat(np.arange(count), random.integers(0, 20, count))
    excluded = (rows, random.integers(0, 40, len(rows)))
    shuffled = random.permutation(len(rows))
    drawn = sampling.outside(names(count), labels, entries, (rows[shuffled], excluded[1][shuffled]), 3, 1)
    for row in range(count):
        left = set(range(40)) - set(excluded[1][rows == row].tolist())
        if labels[row] >= 0:
            left -= set(np.flatnonzero(entries == labels[row]).tolist())
        assert set(drawn[row].tolist()) <= left
        assert len(set(drawn[row].tolist())) == 3
    monkeypatch.undo()
    assert np.array_equal(drawn, sampling.outside(names(count), labels, entries, excluded, 3, 1))


def test_too_few_to_draw_from_names_a_query_that_lacks_them():
    labels = np.array([0, 2, 0])
    with pytest.raises(sampling.Short) as short:
        sampling.by_label(names(3), labels, ENTRIES, WEIGHTS, 5, 1)
    assert (short.value.row, short.value.left) == (1, 4)
    excluded = (np.array([0, 2, 2]), np.array([0, 0, 2]))
    assert sampling.outside(names(3), labels, ENTRIES, excluded, 8, 1).shape == (3, 8)
    with pytest.raises(sampling.Short) as short:
        sampling.outside(names(3), labels, ENTRIES, excluded, 9, 1)
    assert (short.value.row, short.value.left) == (2, 8)


def test_own_group_gives_entries_of_it_or_all_there_are():
    queries, groups = names(6), np.array([3, 0, 3, 4, 2, 6])
    rows, drawn = sampling.own_group(queries, groups, GROUPS, 2, 1)
    assert rows.tolist() == [0, 0, 1, 2, 2, 3, 4, 4]
    assert (GROUPS[drawn] == groups[rows]).all()
    assert drawn[rows == 1].tolist() == [1]
    assert drawn[rows == 3].tolist() == [5]
    assert drawn[rows == 4].tolist() == [0, 8]
    rows, drawn = sampling.own_group(queries, groups, GROUPS, 1_000_000_000, 1)
    assert rows.tolist() == [0] * 4 + [1] + [2] * 4 + [3] + [4] * 2
    assert drawn[rows == 0].tolist() == [2, 4, 7, 9]
    none = sampling.own_group(queries, groups, np.array([], int), 2, 1)
    assert [len(side) for side in none] == [0, 0]
    nobody = sampling.own_group([], np.array([], int), GROUPS, 2, 1)
    assert [len(side) for side in nobody] == [0, 0]


def test_own_group_favours_no_entry():
    rows, drawn = sampling.own_group(names(10_000), np.full(10_000, 3), GROUPS, 2, 1)
    pairs = drawn.reshape(-1, 2)
    assert np.array_equal(rows, np.repeat(np.arange(10_000), 2))
    assert fits(pairs, dict.fromkeys(itertools.combinations([2, 4, 7, 9], 2), 1 / 6)) > 0.001


def test_groups_of_a_size_are_drawn_together(monkeypatch):
    """However many groups there are: a step for each would take minutes where every passage is one of its own."""
    calls, draw = [], sampling._draw
    monkeypatch.setattr(sampling, "_draw", lambda *given: calls.append(1) or draw(*given))
    random = np.random.default_rng(4)
    entries = random.permutation(np.repeat(np.arange(900), np.tile([1, 2, 4], 300)))
    groups = random.integers(0, 900, 3_000)
    rows, drawn = sampling.own_group(names(3_000), groups, entries, 1, 1)
    assert len(calls) == 2
    assert np.array_equal(rows, np.arange(3_000))
    assert np.array_equal(entries[drawn], groups)


def ways(queries, labels, seed):
    excluded = (np.arange(len(queries)), np.where(labels == 2, 9, 4))
    rows, own = sampling.own_group(queries, labels, GROUPS, 1, seed)
    assert np.array_equal(rows, np.arange(len(queries)))
    return np.column_stack(
        [
            sampling.by_label(queries, labels, ENTRIES, WEIGHTS, 3, seed),
            sampling.most_similar(queries, labels, ENTRIES, WEIGHTS, 3, seed),
            sampling.outside(queries, labels, ENTRIES, excluded, 3, seed),
            own,
        ]
    )


def test_a_query_has_its_draws_whatever_others_there_are():
    queries, labels = names(80), np.arange(80) % 4
    some = np.array([71, 3, 40, 12, 6])
    whole = ways(queries, labels, 1)
    assert np.array_equal(ways([queries[i] for i in some], labels[some], 1), whole[some])
    assert not np.array_equal(ways(queries, labels, 2), whole)


def test_no_queries_give_no_draws():
    nothing = np.array([], np.int64)
    assert sampling.by_label([], nothing, ENTRIES, WEIGHTS, 2, 1).shape == (0, 2)
    assert sampling.outside([], nothing, ENTRIES, (nothing, nothing), 2, 1).shape == (0, 2)
