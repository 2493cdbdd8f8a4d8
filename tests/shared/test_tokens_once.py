"""Tokens of a static base's training texts, kept."""

import random

import pytest
import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers

from stages.base.static import train_tokenizer
from stages.shared import tokens_once
from stages.shared.tokens_once import TokensOnce, Words, by_words
from tests.fakes.checkpoints import static_model

TEXTS = ["w1 w2", "w3", "", "w1 w2", "w4 w5 w6"]


# How often a text is tokenized: each of four once, and one more without the prompt; those that do not fit again.
@pytest.mark.parametrize(
    ("prompt", "most", "times"),
    [(None, tokens_once.KEPT_BYTES, 4), (None, 1600, 5), ("w7 ", tokens_once.KEPT_BYTES, 5), ("w7 ", 540, 8)],
)
def test_features_are_the_same_and_each_text_is_tokenized_once(monkeypatch, prompt, most, times):
    monkeypatch.setattr(tokens_once, "KEPT_BYTES", most)
    model, seen = static_model(), []

    def watched(texts, **more):
        seen.extend(texts)
        return model.preprocess(texts, **more)

    kept = TokensOnce(watched, model[0].tokenizer)
    for texts, before in ((TEXTS, prompt), (TEXTS[::-1], prompt), (TEXTS[:1], prompt), (TEXTS[:1], None)):
        found, wanted = kept(texts, prompt=before, task=None), model.preprocess(texts, prompt=before)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) and found[name].dtype == wanted[name].dtype for name in found)
    assert seen[:4] == ["w1 w2", "w3", "", "w4 w5 w6"] and len(seen) == times


# Spaces of several kinds, what normalizes to one or writes one, combining marks, jamo, a ligature, a sigma.
ODD = [
    *"  ab",
    "\u00a0",
    "\u3000",
    "\u00a8",
    "\u2581",
    "\u0301",
    "\u1112",
    "\u1161",
    "\ufb01",
    "\u03a3",
    "\n",
    "\u0130",
    "한",
    "😀",
]


def test_texts_are_tokenized_by_their_words_wherever_that_is_the_same():
    draw = random.Random(3)
    words = ["".join(draw.choices("abcde한국어", k=draw.randint(1, 6))) for _ in range(300)]
    tokenizer = train_tokenizer([" ".join(draw.choices(words, k=20)) for _ in range(100)], 120)
    assert by_words(tokenizer)
    plain = [" ".join(draw.choices(words, k=9)) for _ in range(50)]
    odd = ["".join(draw.choices(ODD, k=draw.randint(0, 7))) for _ in range(4000)]
    texts = plain + odd + [f"{one} {other}" for one, other in zip(odd, plain * 80, strict=True)]
    encoded, seen = Words._encoded, []

    class Watched(Words):
        def _encoded(self, texts):
            seen.append(len(texts))
            return encoded(self, texts)

    found = Watched(tokenizer).tokens(texts)
    assert [one.tolist() for one in found] == [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    # Many of them whole, but by far not all.
    assert 1000 < seen[1] < 0.7 * len(texts)
    once = TokensOnce(lambda *_, **__: None, tokenizer)
    assert once(plain, prompt="ab ")["input_ids"].tolist() == [
        token for text in plain for token in tokenizer.encode(f"ab {text}", add_special_tokens=False).ids
    ]


def test_few_words_are_kept_and_no_long_ones(monkeypatch):
    tokenizer = train_tokenizer(["ab cd ef gh"] * 5, 20)
    for most, kept in ((0, 0), (tokens_once.OF_EACH + 8 * 3, 1), (2**20, 3)):
        monkeypatch.setattr(tokens_once, "KEPT_BYTES", most)
        words = Words(tokenizer)
        texts = ["ab cd", f"{'ef' * 50} gh ab"]
        for _ in range(2):
            found = [one.tolist() for one in words.tokens(texts)]
            assert found == [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        assert len(words.known) == 1 + kept  # nothing is a word, too


def test_other_tokenizers_see_whole_texts():
    tokenizer = train_tokenizer(["ab cd ef gh"] * 5, 20)
    assert not by_words(static_model()[0].tokenizer)
    for change in (
        lambda t: setattr(t, "normalizer", normalizers.NFKC()),
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Metaspace(split=False)),
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Metaspace(prepend_scheme="never")),
        lambda t: t.add_tokens(["b c"]),
        lambda t: t.enable_truncation(3),
    ):
        other = Tokenizer.from_str(tokenizer.to_str())
        assert by_words(other)
        change(other)
        assert not by_words(other)
