"""Negatives by label: how similar two labels are, and draws by it (arXiv 2506.02527, algorithm 1).

P(j | i) = s_ij / sum of s_ij' over the entries j' of other labels, where s is the similarity of the labels of i and j.
Which similarity the paper does not say; here it is a weighted mean of named measures.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.negatives.answers import Answers
from stages.settings.negatives import LabelWeights, Negatives
from stages.shared import sampling, seeds
from stages.shared.errors import UserError
from stages.shared.label_names import LABEL_SEPARATOR

# Why a measure may be absent from the table of candidates.
MISSING_MEASURES = {
    "descriptions": "some label has no description: give each one, or name another measure",
    "centroids": "some label has no passage: give each one, or name another measure",
    "given": "no similarity is given: set corpus.labelled.similarity, or name another measure",
}


def pick(
    name: str, strategy: Negatives, answers: Answers, queries: pl.Series, similarity: np.ndarray, seed: int
) -> np.ndarray:
    """The numbers of `strategy.chosen` passages for each of `queries`, which have labels, never its own text: shape
    [queries, chosen].

    `similarity` [labels, labels] as `matrix` makes it; `name` is the strategy's. Raises `UserError` if a label has too
    few passages of other labels that are like it at all.
    """
    own, entries = (answers.labels_among(groups) for groups in (answers.group_of(queries), answers.groups))
    values = weights(similarity, strategy)
    if strategy.pick == "random":
        values = (values > 0).astype(np.float64)
    elif strategy.pick == "top":
        values = np.where(values > 0, similarity, -np.inf)
    draw = sampling.most_similar if strategy.pick == "top" else sampling.by_label

    def drawn(rows: np.ndarray, count: int) -> np.ndarray:
        asked = queries.gather(rows).to_list()
        try:
            return draw(asked, own[rows], entries, values, count, f"{seed}/negatives/labels")
        except sampling.Short as short:
            label = own[rows[short.row]]
            others = np.count_nonzero((entries >= 0) & (entries != label))
            mend = "lower k or raise floor" if others >= count else "lower k"
            raise UserError(
                f"negatives.{name} wants {count} passages of labels like {answers.names[label]!r}, but "
                f"only {short.left} have a similarity above 0: {mend}"
            ) from None

    chosen = drawn(np.arange(len(queries)), strategy.chosen)
    # A draw goes on where a shorter one ended: without the query's own text, the next ones follow.
    repeated = np.flatnonzero(answers.are_itself(queries, chosen).any(axis=1))
    if len(repeated):
        longer = drawn(repeated, strategy.chosen + answers.most_itself)
        last = np.argsort(answers.are_itself(queries.gather(repeated), longer), axis=1, kind="stable")
        chosen[repeated] = np.take_along_axis(longer, last[:, : strategy.chosen], axis=1)
    return chosen


def weights(similarity: np.ndarray, strategy: Negatives) -> np.ndarray:
    """max(similarity, floor) ^ (1 / temperature), and 0 for a label itself; each row divided by a number of its own."""
    raised = np.maximum(similarity, strategy.floor)
    np.fill_diagonal(raised, 0.0)
    # Divided first: a low temperature would make all of a row's powers vanish.
    greatest = raised.max(axis=1, keepdims=True, initial=0.0)
    return np.divide(raised, greatest, out=np.zeros_like(raised), where=greatest > 0) ** (1 / strategy.temperature)


def matrix(names: list[str], settings: LabelWeights, stored: pl.DataFrame, seed: int) -> np.ndarray:
    """How similar the labels `names` (sorted) are: float64, shape [labels, labels]; the diagonal means nothing.

    `stored` is SIMILARITY. Raises `UserError` if it lacks a measure that `settings` name.
    """
    total = sum(settings.similarity.values())
    mean = np.zeros((len(names), len(names)))
    for measure, weight in settings.similarity.items():
        mean += weight / total * (paths(names) if measure == "path" else _stored(names, measure, stored))
    if settings.level is not None:
        mean = coarsened(mean, names, settings.level)
    return noised(mean, names, settings.noise, seed) if settings.noise else mean


def paths(names: list[str]) -> np.ndarray:
    """1 / (1 + edges between two labels in the tree of their parts): path similarity as of WordNet (Rada et al. 1989;
    Pedersen et al. 2004, WordNet::Similarity). All labels hang from one root."""
    parts = [name.split(LABEL_SEPARATOR) for name in names]
    depths = np.array([len(own) for own in parts])
    shared = np.zeros((len(names), len(names)), np.int64)
    for level in range(1, depths.max(initial=0) + 1):
        at = _blocks(names, level)
        deep = depths >= level
        shared += (at[:, None] == at[None, :]) & deep[:, None] & deep[None, :]
    return 1.0 / (1.0 + depths[:, None] + depths[None, :] - 2 * shared)


def coarsened(similarity: np.ndarray, names: list[str], level: int) -> np.ndarray:
    """`similarity` as its mean over the pairs of different labels that share their first `level` parts with the two:
    what is known if the taxonomy ends there."""
    blocks = _blocks(names, level)
    member = np.equal.outer(blocks, np.arange(blocks.max(initial=-1) + 1)).astype(np.float64)
    apart = 1.0 - np.eye(len(names))
    sums, pairs = (member.T @ values @ member for values in (similarity * apart, apart))
    means = np.divide(sums, pairs, out=np.zeros_like(sums), where=pairs > 0)
    return means[np.ix_(blocks, blocks)]


def noised(similarity: np.ndarray, names: list[str], share: float, seed: int) -> np.ndarray:
    """(1 - share) x `similarity` + share x its values off the diagonal, shuffled among the pairs of labels: a
    similarity that says nothing, of the same values. The shuffle is the same for every share."""
    upper = np.triu_indices(len(names), 1)
    numbers = seeds.numbers(f"{seed}/negatives/noise", names)
    order = np.argsort(seeds.uniform(numbers[upper[0]], numbers[upper[1]]), kind="stable")
    shuffled = similarity.copy()
    shuffled[upper] = similarity[upper][order]
    shuffled.T[upper] = similarity.T[upper][order]
    return (1 - share) * similarity + share * shuffled


def _stored(names: list[str], measure: str, stored: pl.DataFrame) -> np.ndarray:
    own = stored.filter(kind=measure).sort("label")
    if own.is_empty():
        raise UserError(
            f"negatives: labels.similarity names {measure}, which data/candidates/similarity.parquet lacks, for "
            f"{MISSING_MEASURES[measure]}"
        )
    at = {label: place for place, label in enumerate(own["label"].to_list())}
    lacking = [name for name in names if name not in at]
    if lacking:
        raise UserError(
            f"data/candidates/similarity.parquet has no {measure} of the label {lacking[0]!r}: "
            "rebuild it with `dvc repro`"
        )
    places = np.array([at[name] for name in names], np.int64)
    whole = own["values"].list.to_array(len(at)).to_numpy().astype(np.float64)
    return whole[np.ix_(places, places)]


def _blocks(names: list[str], level: int) -> np.ndarray:
    """A number for each label, equal for those with the same first `level` parts: int64, shape [labels]."""
    heads = pl.Series([LABEL_SEPARATOR.join(name.split(LABEL_SEPARATOR)[:level]) for name in names], dtype=pl.String)
    return heads.rank("dense").cast(pl.Int64).to_numpy() - 1
