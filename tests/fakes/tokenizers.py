"""Tiny tokenizers of each algorithm, laid out as those of published encoders."""

import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from stages.base import static
from tests.fakes.checkpoints import FAMILIES

# A piece that no text uses, before the padding's: what is kept gets other ids.
UNUSED = "zzqzz"


def special(family):
    return ["<unk>", UNUSED, *dict.fromkeys(FAMILIES[family][0].values())]


def marked(tokenizer, family):
    tokenizer.add_special_tokens([name for name in special(family) if name != UNUSED])
    return tokenizer


def unigram(texts, family="xlm-r"):
    """As XLM-R's: no bytes, ▁ before words."""
    pieces = json.loads(static.train_tokenizer(texts, 400).to_str())["model"]["vocab"]
    tokenizer = Tokenizer(
        models.Unigram([*((name, 0.0) for name in special(family)), *map(tuple, pieces[1:])], unk_id=0)
    )
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return marked(tokenizer, family)


def byte_bpe(texts, family="qwen3"):
    """As Qwen's: every byte is a piece."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    return marked(tokenizer, family)


def wordpiece(texts, family="bert"):
    """As BERT's: ## before what goes on with a word."""
    trained = Tokenizer(models.WordPiece(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Whitespace()
    trained.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=400, show_progress=False))
    names = [*special(family), *sorted(trained.get_vocab())]
    tokenizer = Tokenizer(models.WordPiece({name: number for number, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return marked(tokenizer, family)


def word_level(texts, family="bert"):
    words = sorted({word for text in texts for word in text.split()})
    names = [*special(family), *words]
    tokenizer = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return marked(tokenizer, family)
