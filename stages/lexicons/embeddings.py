"""Nearest neighbours among word vectors of two languages: given ones, an encoder's, or learnt on the collection.

Neighbours are by cosine or by CSLS (Conneau et al. 2018, section 2.3): 2 cos(x, y) - r(x) - r(y), where r is a word's
mean cosine to its nearest words in the other language, so that a word that is near to everything is no translation of
everything.

- given: fastText's text format, in one space for all languages (as MUSE's and fastText's aligned ones are), read line
  by line: the first `vocabulary` words are candidates, of which those that the collection uses are translated.
- encoder: a model folder; each word of the collection is encoded alone.
- learnt: of each language's texts the positive pointwise mutual information of words within a window, reduced by a
  singular value decomposition (Levy, Goldberg and Dagan 2015, sections 2.1 and 3.1: smoothed contexts, square roots of
  singular values); one language is then turned into the other's space by orthogonal Procrustes (Conneau et al. 2018,
  equation 2) over anchors: words that are the same in both, titles of one word, and a seed dictionary if `files` names
  one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse.linalg
from scipy import sparse

from stages.lexicons import dictionary, texts
from stages.lexicons.entries import ENTRIES, LETTERED, Dropped, Pairs, key
from stages.lexicons.vocabulary import Vocabulary
from stages.settings.lexicons import Lexicon
from stages.shared import encoder, files, training_texts
from stages.shared.errors import UserError
from stages.shared.stems import lookups

log = logging.getLogger("lexicons")
WINDOW = 5  # words to each side
CONTEXT_SMOOTHING = 0.75
COMPARED_AT_ONCE = 256  # words compared with all of the other language at once: with 200,000 they take 200 MB
ENCODED_AT_ONCE = 64


class Vectors(NamedTuple):
    """Words of one language."""

    keys: list[str]  # as they are looked up
    written: list[str]
    used: np.ndarray  # whether the collection uses them: bool, shape [words]
    vectors: np.ndarray  # of length one: float32, shape [words, dimension]


def find(lexicon: Lexicon, source: str, target: str, dropped: Dropped) -> Pairs:
    """Both ways; the score is the cosine, or CSLS. Raises `UserError` if vectors cannot be read or compared."""
    if lexicon.gives_vectors and not {source, target} <= {*lexicon.files}:
        return {}
    if lexicon.vectors == "learnt":
        sides = _learnt(lexicon, source, target, dropped)
    else:
        read = _given if lexicon.gives_vectors else _encoded
        sides = read(lexicon, source, dropped), read(lexicon, target, dropped)
    one, other = sides
    if one.vectors.shape[1] != other.vectors.shape[1]:
        raise UserError(
            f"the vectors of {source} have {one.vectors.shape[1]} dimensions, those of {target} "
            f"{other.vectors.shape[1]}: name files of one space"
        )
    return {(source, target): nearest(one, other, lexicon), (target, source): nearest(other, one, lexicon)}


def nearest(one: Vectors, other: Vectors, lexicon: Lexicon) -> pl.DataFrame:
    """The `most` nearest words of `other` for each of `one` that the collection uses (ENTRIES)."""
    asked = np.flatnonzero(one.used)
    k, most = lexicon.csls, min(lexicon.most or 1, len(other.keys))
    mine = one.vectors[asked]
    near = _mean_of_nearest(mine, other.vectors, k) if k else np.zeros(len(asked))
    theirs = _mean_of_nearest(other.vectors, mine, k) if k else np.zeros(len(other.keys))
    found: list[tuple[str, str, float]] = []
    for begin in range(0, len(asked), COMPARED_AT_ONCE):
        scores = mine[begin : begin + COMPARED_AT_ONCE] @ other.vectors.T
        if k:
            scores = 2 * scores - near[begin : begin + COMPARED_AT_ONCE, None] - theirs
        best = np.argpartition(-scores, most - 1, axis=1)[:, :most]
        for row, columns in enumerate(best):
            word = one.keys[asked[begin + row]]
            found += [(word, other.written[column], float(scores[row, column])) for column in columns]
    return pl.DataFrame(found, schema=ENTRIES, orient="row")


def _mean_of_nearest(vectors: np.ndarray, others: np.ndarray, k: int) -> np.ndarray:
    """The mean cosine of each of `vectors` to its k nearest of `others`: shape [vectors]."""
    k = min(k, len(others))
    parts = [np.zeros(0, np.float32)]
    for begin in range(0, len(vectors), COMPARED_AT_ONCE):
        scores = vectors[begin : begin + COMPARED_AT_ONCE] @ others.T
        parts.append(np.partition(scores, len(others) - k, axis=1)[:, -k:].mean(axis=1))
    return np.concatenate(parts)


def _given(lexicon: Lexicon, lang: str, dropped: Dropped) -> Vectors:
    vocabulary = _collected(lexicon, lang)[0]
    wanted = {part for form in vocabulary.forms for part in lookups(form, lang)}
    found: dict[str, tuple[str, np.ndarray]] = {}
    file = Path(lexicon.path) / lexicon.files[lang]
    for word, vector in read_vectors(file, lexicon.vocabulary):
        name = key(word, lang)
        if not name or not vector.any():
            dropped["vectors of no word"] += 1
        # The first is the most frequent.
        elif found.setdefault(name, (word, vector))[1] is not vector:
            dropped["vectors of a word in another case"] += 1
    if not found:
        raise UserError(f"{file} has no vector of a word: is it fastText's text format?")
    keys = list(found)
    vectors = _unit(np.stack([vector for _, vector in found.values()]))
    return Vectors(keys, [word for word, _ in found.values()], np.array([name in wanted for name in keys]), vectors)


def read_vectors(file: Path, most: int) -> Iterator[tuple[str, np.ndarray]]:
    """The first `most` words of a file in fastText's text format, with their vectors: float32, shape [dimension].
    Raises `UserError` naming the line that is none."""
    dimension = 0
    for number, line in enumerate(files.lines(file), 1):
        word, *numbers = line.rstrip().split(" ")
        if number == 1 and len(numbers) == 1:
            most += 1  # the header: how many words, and dimensions
            continue
        try:
            vector = np.array(numbers, np.float32)
        except ValueError:
            raise UserError(f"{file}:{number} is no word with its vector: mend or remove the line") from None
        dimension = dimension or len(vector)
        if len(vector) != dimension or not np.isfinite(vector).all():
            raise UserError(
                f"{file}:{number} has {len(vector)} numbers where others have {dimension}, or one that is not finite: "
                "mend or remove the line"
            )
        yield word, vector
        if number >= most:
            return


def _collected(lexicon: Lexicon, lang: str) -> tuple[Vocabulary, list[np.ndarray]]:
    vocabulary = Vocabulary(lang, lexicon.stems)
    return vocabulary, [vocabulary.read(text) for text in training_texts.of(lang)]


def _encoded(lexicon: Lexicon, lang: str, dropped: Dropped) -> Vectors:
    vocabulary, read = _collected(lexicon, lang)
    kept = _kept(vocabulary, read, lexicon, dropped)
    written = [vocabulary.written[number] for number in kept]
    # A query as the model reads it: two words are compared, not a question with its answer.
    vectors = encoder.load(lexicon.path, ENCODED_AT_ONCE).encode(written, "query")
    words = list(vocabulary.numbers)
    return Vectors([words[n] for n in kept], written, np.ones(len(kept), bool), _unit(vectors))


def _learnt(lexicon: Lexicon, source: str, target: str, dropped: Dropped) -> tuple[Vectors, Vectors]:
    sides, places = [], []
    for lang in (source, target):
        vocabulary, read = _collected(lexicon, lang)
        kept = _kept(vocabulary, read, lexicon, dropped)
        words, written = list(vocabulary.numbers), vocabulary.written
        vectors = _unit(_reduced(_associations(read, len(words))[kept], lexicon.dimension))
        sides.append(Vectors([words[n] for n in kept], [written[n] for n in kept], np.ones(len(kept), bool), vectors))
        places.append({words[n]: place for place, n in enumerate(kept)})
    one, other = sides
    stem = -1 if lexicon.stems else 0
    seeds = [(word, word) for word in places[0]] + texts.titles(source, target) + list(_seeds(lexicon, source, target))
    named = [(lookups(a, source)[stem], lookups(b, target)[stem]) for a, b in seeds]
    anchors = sorted({(places[0][a], places[1][b]) for a, b in named if a in places[0] and b in places[1]})
    if not anchors:
        raise UserError(
            f"the texts in {source} and {target} share no word to begin with: name a seed dictionary under files, or "
            "take the source alignment"
        )
    log.info(f"{source}-{target}: {len(anchors):,} anchors")
    width = min(one.vectors.shape[1], other.vectors.shape[1])
    left, right = one.vectors[:, :width], other.vectors[:, :width]
    pairs = np.array(anchors)
    u, _, v = np.linalg.svd(left[pairs[:, 0]].T @ right[pairs[:, 1]])
    return one._replace(vectors=_unit(left @ u @ v)), other._replace(vectors=_unit(right))


def _seeds(lexicon: Lexicon, source: str, target: str) -> Iterator[tuple[str, str]]:
    for one, other in permutations((source, target)):
        if file := lexicon.files.get(f"{one}-{other}"):
            for word, translation, _ in dictionary.rows(Path(lexicon.path) / file, lexicon):
                yield (word, translation) if one == source else (translation, word)


def _kept(vocabulary: Vocabulary, read: list[np.ndarray], lexicon: Lexicon, dropped: Dropped) -> np.ndarray:
    """The numbers of the words that have letters, the most frequent first: at most `lexicon.vocabulary`."""
    counts = np.bincount(np.concatenate([np.zeros(0, np.int32), *read]), minlength=len(vocabulary.numbers))
    lettered = np.array([bool(LETTERED.search(word)) for word in vocabulary.numbers], bool)
    kept = [int(number) for number in np.argsort(-counts, kind="stable") if lettered[number]]
    dropped["words beyond the vocabulary"] += max(0, len(kept) - lexicon.vocabulary)
    if not kept:
        raise UserError(f"no text of the training split has a word in {vocabulary.lang}: take another source")
    return np.array(kept[: lexicon.vocabulary])


def _associations(read: list[np.ndarray], words: int) -> sparse.csr_array:
    """The positive pointwise mutual information of `words` with those near them in the same text: [words, words]."""
    ids = np.concatenate(read)
    text = np.repeat(np.arange(len(read)), [len(part) for part in read])
    together = sparse.csr_array((words, words))
    for distance in range(1, WINDOW + 1):
        same = text[distance:] == text[:-distance]
        pair = ids[:-distance][same], ids[distance:][same]
        together += sparse.csr_array((np.ones(len(pair[0])), pair), shape=(words, words))
    found = (together + together.T).tocoo()
    occurs = np.bincount(found.row, found.data, words)
    context = occurs**CONTEXT_SMOOTHING
    chance = occurs[found.row] * context[found.col] / context.sum()
    return sparse.csr_array((np.maximum(np.log(found.data / chance), 0), (found.row, found.col)), shape=(words, words))


def _reduced(table: sparse.csr_array, dimension: int) -> np.ndarray:
    """The rows of `table` in fewer dimensions: shape [rows, at most dimension]."""
    size = min(dimension, *(side - 1 for side in table.shape))
    # The iteration begins at random where it is not told.
    u, values, _ = scipy.sparse.linalg.svds(table, k=max(1, size), v0=np.ones(min(table.shape)))
    return u * np.sqrt(values)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
