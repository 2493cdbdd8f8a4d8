"""Randomness from names."""

import os
import subprocess
import sys

import numpy as np
from scipy import stats

from stages.shared import seeds
from tests.conftest import ROOT


def names(prefix, count):
    return [f"{prefix}{i}" for i in range(count)]


def test_numbers_depend_on_every_name_and_on_where_it_ends():
    found = {seeds.number(*n) for n in [(1, "a"), (2, "a"), (1, "b"), (1, "a", ""), ("1a",), (1, "", "a"), (11, "a")]}
    assert len(found) == 7


def test_a_number_is_the_same_in_any_process():
    code = "from stages.shared import seeds; print(seeds.number(1, 'kdc-010'), seeds.numbers(3, ['x', 'y']).tolist())"
    for hashseed in ("0", "1", "random"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hashseed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split(" ", 1)[0] == str(seeds.number(1, "kdc-010"))
        assert done.stdout.split(" ", 1)[1].strip() == str([seeds.number(3, "x"), seeds.number(3, "y")])


def test_uniform_numbers_are_uniform():
    left, right = seeds.numbers("l", names("q", 300)), seeds.numbers("r", names("p", 300))
    drawn = seeds.uniform(left[:, None], right[None, :])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.histogram(drawn, 100, (0, 1))[0]
    assert stats.chisquare(counts).pvalue > 0.001
    # Two neighbours, along either side, are independent: pairs fill the square evenly.
    for one, other in ((drawn[:, :-1], drawn[:, 1:]), (drawn[:-1], drawn[1:])):
        square = np.histogram2d(one.ravel(), other.ravel(), 10, [(0, 1), (0, 1)])[0]
        assert stats.chisquare(square.ravel()).pvalue > 0.001


def test_each_of_many_is_picked_as_often():
    """Picking the k smallest of a row, as `negatives` does, favours no column."""
    left, right = seeds.numbers("1/negatives", names("q", 4000)), seeds.numbers(1, names("p", 20))
    picked = np.argsort(seeds.uniform(left[:, None], right[None, :]), axis=1)[:, :5]
    counts = np.bincount(picked.ravel(), minlength=20)
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_pair_has_its_number_whatever_its_neighbours():
    left, right = seeds.numbers(1, names("q", 9)), seeds.numbers(1, names("p", 9))
    whole = seeds.uniform(left[:, None], right[None, :])
    some = seeds.uniform(left[[7, 2], None], right[None, [0, 8, 3]])
    assert np.array_equal(some, whole[np.ix_([7, 2], [0, 8, 3])])


def test_uniform_numbers_are_mixed_as_splitmix64_mixes():
    left, right = seeds.numbers("l", names("q", 5)), seeds.numbers("r", names("p", 5))
    wanted = []
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        x = one ^ (other * 0x9E3779B97F4A7C15 % 2**64)
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        wanted.append(((x ^ (x >> 31)) >> 11) / 2**53)
    assert seeds.uniform(left, right).tolist() == wanted
