"""The static base: an embedding table over a Unigram tokenizer, bootstrapped from the collection's own documents.

It sees documents in all languages, and no query: those of all splits, where the setting is a retriever for a collection
whose documents are known and whose questions are not, or of the training split alone, where other documents are yet to
come. (The queries that a labelled knowledge base trains on are documents, for they are its entries.) Texts that say the
same are pulled together (InfoNCE, both ways): titles with their texts, translations of titles, sentences and texts,
and, within a language, two crops of one text.
"""

from __future__ import annotations

import io
import random
from functools import lru_cache
from itertools import product

import polars as pl
import sentencepiece
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from stages.settings.base import Static
from stages.shared import contrastive, seeds, sentences, training

# Of the pairs within a language, the share that are two crops of the text (the others: title and text).
CROPS = 0.7
# Of a small collection each text comes in many pairs.
_sentences = lru_cache(maxsize=2**12)(sentences.split)
_words = lru_cache(maxsize=2**12)(str.split)


def bootstrap(
    passages: pl.DataFrame,
    languages: list[str],
    static: Static,
    seed: int,
    fingerprint: str,
    start: tuple[Tokenizer, torch.Tensor] | None = None,
) -> SentenceTransformer:
    """Train a table on `passages` (columns passage, lang, title and text), beginning with `start`, or else with a
    tokenizer of theirs and noise."""
    torch.manual_seed(seed)
    if start:
        tokenizer, table = start
    else:
        tokenizer = train_tokenizer(texts(passages), static.vocabulary)
        table = torch.randn(tokenizer.get_vocab_size(), static.dimension) * 0.1
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")
    rows = Dataset.from_list(pairs(passages, languages, static.steps * static.batch_size, seed))
    training.fit(
        model,
        rows,
        contrastive.InfoNCE(model, static.temperature, symmetric=True),
        fingerprint,
        seed=seed,
        steps=static.steps,
        batch_size=static.batch_size,
        learning_rate=static.learning_rate,
        warmup=0.02,
    )
    return model


def texts(passages: pl.DataFrame) -> list[str]:
    """Titles and texts, each title once."""
    return [*passages["title"].unique(maintain_order=True), *passages["text"]]


def train_tokenizer(texts: list[str], vocabulary: int) -> Tokenizer:
    """A Unigram tokenizer (Kudo 2018) over NFKC, lower-cased text.

    Trained by sentencepiece: `tokenizers`' own Unigram trainer gives other pieces in each process.
    """
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=map(normalizer.normalize_str, texts),
        model_writer=trained,
        model_type="unigram",
        vocab_size=vocabulary,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        max_sentence_length=2**20,
        num_threads=1,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    vocab = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=0))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def pairs(passages: pl.DataFrame, languages: list[str], count: int, seed: int) -> list[dict]:
    """`count` rows {query, positive, label}: passages and language pairs in turn, in a shuffled order of passages."""
    documents = [
        {row["lang"]: (row["title"], row["text"]) for row in rows.iter_rows(named=True)}
        for _, rows in passages.group_by("passage", maintain_order=True)
    ]
    rng = random.Random(seeds.number(seed, "bootstrap"))
    rows: list[dict] = []
    order = list(range(len(documents)))
    while len(rows) < count:
        rng.shuffle(order)
        for number in order:
            for left, right in product([lang for lang in languages if lang in documents[number]], repeat=2):
                query, positive = _pair(documents[number], left, right, rng)
                rows.append({"query": query, "positive": positive, "label": [number]})
    for cache in (_sentences, _words):
        cache.cache_clear()
    # Cut to size only after mixing, or the last passages would go short of directions.
    rng.shuffle(rows)
    return rows[:count]


def _pair(document: dict[str, tuple[str, str]], left: str, right: str, rng: random.Random) -> tuple[str, str]:
    (title, text), (other_title, other_text) = document[left], document[right]
    draw = rng.random()
    if left == right:
        if draw < CROPS or not title:
            return _crop(text, rng), _crop(text, rng)
        return title, text
    if draw < 0.5 and title and other_title:
        return (title, other_title) if draw < 0.25 else (title, other_text)
    ours, theirs = _sentences(text), _sentences(other_text)
    if draw < 0.75 and len(ours) == len(theirs):
        at = rng.randrange(len(ours))
        return ours[at], theirs[at]
    return text, other_text


def _crop(text: str, rng: random.Random) -> str:
    """A run of words, a tenth to a half of the text."""
    words = _words(text)
    longest = max(3, len(words) // 2)
    length = min(len(words), rng.randint(max(2, min(longest, len(words) // 10)), longest))
    begin = rng.randrange(len(words) - length + 1)
    return " ".join(words[begin : begin + length])
