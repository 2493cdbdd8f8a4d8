"""What a tokenizer knows of texts, in numbers."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from stages.shared import pieces
from stages.shared.errors import UserError
from tests.fakes.checkpoints import word_tokenizer

TEXTS = {"ko": ["w1 x y w2", "x x x x"], "en": ["w1 w2", "", "w3 w4"], "de": []}


def kinds():
    bare = word_tokenizer(["w1", "w2", "w3", "w4"])
    return {"tokenizers": bare, "transformers": PreTrainedTokenizerFast(tokenizer_object=bare, unk_token="<unk>")}


@pytest.mark.parametrize("kind", ["tokenizers", "transformers"])
def test_unknown_tokens_are_told_by_language_and_warned_of(kind, caplog):
    assert pieces.known(kinds()[kind], TEXTS, "it") == {"de": 0.0, "en": 0.0, "ko": 0.75}
    assert "it: of the tokens 75% in ko are unknown to its tokenizer" in caplog.text
    caplog.clear()
    assert pieces.known(kinds()[kind], {"en": TEXTS["en"]}, "it") == {"en": 0.0} and not caplog.text


def test_a_tokenizer_that_knows_nothing_of_any_language_is_refused():
    with pytest.raises(
        UserError, match=r"^it knows nearly nothing of the texts: .* 100% in en, 100% in ko are unknown"
    ):
        pieces.known(word_tokenizer(["other"]), {"en": ["w1 w2"], "ko": ["w3"]}, "it")


def test_a_text_without_a_token_is_unknown():
    """A tokenizer without an unknown token leaves out what it does not know."""
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert pieces.known(tokenizer, {"en": ["a b a", "zz"]}, "it") == {"en": 0.25}


def test_of_many_texts_some_are_read_from_all_over(monkeypatch):
    monkeypatch.setattr(pieces, "TOLD_BY", 10)
    assert pieces.known(word_tokenizer(["a"]), {"en": ["a"] * 500 + ["b"] * 500}, "it") == {"en": 0.5}
