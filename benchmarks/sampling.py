"""How long it takes to draw negatives by how similar labels are.

python benchmarks/sampling.py [--queries 1e6] [--labels 1000] [--entries 10000] [--k 2]

draws k entries of other labels for each query in three ways: with `stages.shared.sampling`; with Gumbel top-k, a random
number for each query and entry, and with `numpy.random.choice` in a loop, both for 1,000 queries and extrapolated.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stages.shared import sampling  # noqa: E402

SOME = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("queries", 1e6), ("labels", 1e3), ("entries", 1e4), ("k", 2)):
        parser.add_argument(f"--{name}", type=lambda text: int(float(text)), default=int(default))
    given = parser.parse_args()
    random = np.random.default_rng(1)
    queries = [f"query-{i}" for i in range(given.queries)]
    query_labels = random.integers(0, given.labels, given.queries)
    entry_labels = random.integers(0, given.labels, given.entries)
    weights = random.random((given.labels, given.labels))
    np.fill_diagonal(weights, 0.0)

    began = time.perf_counter()
    drawn = sampling.by_label(queries, query_labels, entry_labels, weights, given.k, 1)
    whole = time.perf_counter() - began
    assert not (entry_labels[drawn] == query_labels[:, None]).any()
    print(
        f"{given.queries:,} queries, {given.labels:,} labels, {given.entries:,} entries, k = {given.k}: {whole:.1f} s"
    )

    some = min(SOME, given.queries)
    times = given.queries / some
    began = time.perf_counter()
    for begin in range(0, some, 100):
        own = weights[query_labels[begin : min(begin + 100, some)]][:, entry_labels]
        with np.errstate(divide="ignore"):
            keys = sampling.gumbel(np.log(own), random.random(own.shape))
        np.argpartition(-keys, given.k, axis=1)
    spent = (time.perf_counter() - began) * times
    print(f"Gumbel top-k over all entries: {spent:,.0f} s, {spent / whole:,.0f} times as long (from {some:,} queries)")
    began = time.perf_counter()
    for row in range(some):
        own = weights[query_labels[row], entry_labels]
        np.random.choice(given.entries, given.k, replace=False, p=own / own.sum())
    spent = (time.perf_counter() - began) * times
    print(f"numpy.random.choice in a loop: {spent:,.0f} s, {spent / whole:,.0f} times as long (from {some:,} queries)")


if __name__ == "__main__":
    main()
