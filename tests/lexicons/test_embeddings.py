"""embeddings: cosines and CSLS by hand, files of vectors, Procrustes on a turned space, an encoder."""

import gzip

import numpy as np
import pytest

from stages.lexicons import embeddings
from stages.lexicons.embeddings import Vectors, nearest
from stages.settings.lexicons import Lexicon
from stages.shared.errors import UserError
from tests.lexicons.conftest import entries, record


def side(*vectors, names="abc"):
    words = list(names[: len(vectors)])
    found = np.array(vectors, np.float32)
    return Vectors(words, words, np.ones(len(words), bool), found / np.linalg.norm(found, axis=1, keepdims=True))


def best(one, other, **given):
    lexicon = Lexicon(source="embeddings", path="x", vectors="encoder", most=1, **given)
    return {word: (translation, score) for word, translation, score in nearest(one, other, lexicon).iter_rows()}


def test_csls_passes_over_a_word_that_is_near_to_all():
    """Cosines of a are 0.8 to x and 0.6 to y, of b 1 and 0. x is the nearest of both, until its mean cosine to its two
    nearest is taken off: of a that is 1.6 - 0.7 - 0.9 = 0 and 1.2 - 0.7 - 0.3 = 0.2, of b 2 - 0.5 - 0.9 = 0.6."""
    one, other = side([0.8, 0.6], [1, 0]), side([1, 0], [0, 1], names="xy")
    assert {word: found[0] for word, found in best(one, other, csls=None).items()} == {"a": "x", "b": "x"}
    found = best(one, other, csls=2)
    assert {word: translation for word, (translation, _) in found.items()} == {"a": "y", "b": "x"}
    assert [score for _, score in found.values()] == pytest.approx([0.2, 0.6])


def test_only_words_that_the_collection_uses_are_translated():
    one = side([1, 0], [0, 1])._replace(used=np.array([False, True]))
    assert [*best(one, side([1, 0], [0, 1], names="xy"), csls=None)] == ["b"]


TEXT = ("p", "train", {"en": ("", "Dogs bark."), "ko": ("", "강아지가 짖는다.")})


def test_given_vectors_are_read_as_fasttext_writes_them(workspace, settings):
    workspace.corpus([TEXT])
    folder = workspace.path / "vectors"
    folder.mkdir()
    (folder / "en.vec").write_text("4 2\n. 1 1\ndog 1 0.1\nDog 0.5 0.5\ncat 0 1\nbeyond 1 1\n", encoding="utf-8")
    with gzip.open(folder / "ko.vec.gz", "wt", encoding="utf-8") as opened:
        opened.write("강아지 2 0\n고양이 0 1\n")
    files = {"en": "en.vec", "ko": "ko.vec.gz"}
    settings(source="embeddings", path="vectors", files=files, vocabulary=4, csls=None, most=1)
    workspace.run("lexicons", "mine")
    # Of the vectors dog is in the texts, as dogs; 강아지 is.
    assert entries("en-ko") == {"dog": ["강아지"]}
    # And by its stem, so that other forms are found.
    assert entries("ko-en") == {"강아지": ["dog"], "강아": ["dog"]}
    assert record()["dropped"] == {"vectors of a word in another case": 1, "vectors of no word": 1}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a 1 2\nb 1 x\n", r"en\.vec:2 is no word with its vector: mend or remove the line"),
        ("2 2\na 1 2\nb 1\n", r"en\.vec:3 has 1 numbers where others have 2"),
        (". 1 2\n", r"en\.vec has no vector of a word: is it fastText's text format"),
        ("a 1 2 3\n", r"the vectors of en have 3 dimensions, those of ko 2: name files of one space"),
    ],
)
def test_vectors_that_are_none_are_one_sentence(workspace, settings, lines, said):
    workspace.corpus([TEXT])
    workspace.path.joinpath("en.vec").write_text(lines, encoding="utf-8")
    workspace.path.joinpath("ko.vec").write_text("강아지 2 0\n", encoding="utf-8")
    settings(source="embeddings", path=".", files={"en": "en.vec", "ko": "ko.vec"})
    with pytest.raises(UserError, match=said):
        workspace.run("lexicons", "mine")
    assert not workspace.path.joinpath("data/lexicons/mine").exists()


def test_learnt_vectors_are_turned_into_one_space(workspace, settings):
    """In both languages each word stands beside its neighbours in a ring, in other texts. Ten of the twenty are the
    same, and lead to the others."""
    names = [f"w{letter}" for letter in "abcdefghijklmnopqrst"]
    theirs = [name if n % 2 == 0 else f"x{name}" for n, name in enumerate(names)]
    drawn = np.random.default_rng(1).integers(0, 20, (2, 300))
    texts = [
        [f"{ring[n - 2]} {ring[n - 1]} {ring[n]}" for n in row]
        for ring, row in zip((names, theirs), drawn, strict=True)
    ]
    workspace.edit(languages=["en", "vi"])
    pairs = enumerate(zip(*texts, strict=True))
    workspace.corpus([(str(n), "train", {"en": ("", one), "vi": ("", other)}) for n, (one, other) in pairs])
    settings(source="embeddings", vectors="learnt", dimension=6, csls=None, most=1, stems=False, threshold=-1.0)
    workspace.run("lexicons", "mine")
    found = entries("en-vi")
    assert sum(found[name] == [their] for name, their in zip(names, theirs, strict=True)) >= 18


def test_languages_without_an_anchor_are_one_sentence(workspace, settings):
    workspace.corpus([TEXT])
    settings(source="embeddings", vectors="learnt")
    with pytest.raises(UserError, match=r"the texts in en and ko share no word to begin with: name a seed dictionary"):
        workspace.run("lexicons", "mine")


def test_an_encoder_reads_each_word_alone(workspace, settings, monkeypatch):
    workspace.corpus([TEXT])
    asked = []

    class Encoder:
        def encode(self, texts, role):
            asked.append((texts, role))
            return np.eye(len(texts), dtype=np.float32)

    monkeypatch.setattr(embeddings.encoder, "load", lambda folder, batch_size: Encoder())
    settings(source="embeddings", path="data/collected", vectors="encoder", csls=None, most=1, vocabulary=2)
    workspace.run("lexicons", "mine")
    assert asked == [(["Dogs", "bark"], "query"), (["강아지가", "짖는다"], "query")]
    assert entries("en-ko") == {"dog": ["강아지가"], "bark": ["짖는다"]}
