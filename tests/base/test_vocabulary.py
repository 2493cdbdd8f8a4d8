"""A vocabulary cut to what a study needs: its texts have the same tokens and vectors, and the rest is gone."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from stages.base import vocabulary
from stages.shared.errors import UserError
from stages.shared.passages import passage_text
from stages.shared.pieces import shares
from tests.base.bootstrapping import documents
from tests.fakes.checkpoints import FAMILIES, save_transformer
from tests.fakes.tokenizers import UNUSED, byte_bpe, unigram, word_level, wordpiece

STUDY = [text for _, _, by_lang in documents() for title, text in by_lang.values() for text in (title, text)]
OTHERS = [
    "The quick brown foxes jumped over seventeen lazy dogs, unquestionably.",
    "빠른 갈색 여우가 게으른 개를 뛰어넘었다",
    "Быстрая лисица перепрыгнула через ленивых собак",
    "query: passage: query|en query|ko q",
]
ALGORITHMS = {"unigram": unigram, "bpe": byte_bpe, "wordpiece": wordpiece, "words": word_level}
FAMILY = {"unigram": "xlm-r", "bpe": "qwen3", "wordpiece": "bert", "words": "bert"}


@pytest.fixture(scope="module")
def tokenizers():
    return {name: made(STUDY + OTHERS * 3) for name, made in ALGORITHMS.items()}


def cut(tokenizer, texts, languages=("en", "ko"), whole_scripts=False):
    kept = vocabulary.kept(tokenizer, vocabulary.counts(tokenizer, texts), languages, whole_scripts)
    return kept, vocabulary.cut(tokenizer, kept)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_texts_have_the_same_tokens_and_other_pieces_are_gone(tokenizers, name):
    whole = tokenizers[name]
    texts = STUDY[:20]
    kept, smaller = cut(whole, texts)
    assert smaller.get_vocab_size() == len(kept) < whole.get_vocab_size()
    for text in texts:
        assert [kept[number] for number in smaller.encode(text).ids] == whole.encode(text).ids
        assert smaller.encode(text).tokens == whole.encode(text).tokens
    assert smaller.token_to_id(UNUSED) is None
    vocabulary.check(whole, smaller, kept, texts, "base.vocabulary")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_piece_that_is_missed_is_noticed(tokenizers, name):
    whole, texts = tokenizers[name], STUDY[:4]
    # The longest that is used, so that none needs it.
    used = {whole.id_to_token(number) for number in vocabulary.counts(whole, texts)}
    lost = whole.token_to_id(max(sorted(used - {"<unk>", *FAMILIES[FAMILY[name]][0].values()}), key=len))
    kept = [number for number in cut(whole, texts)[0] if number != lost]
    with pytest.raises(UserError, match=r"base.vocabulary: the smaller tokenizer cuts '.+' otherwise"):
        vocabulary.check(whole, vocabulary.cut(whole, kept), kept, texts, "base.vocabulary")


def test_the_steps_of_merging_stay_in_any_way_that_a_piece_is_merged():
    from tokenizers import models

    merges = [("b", "c"), ("a", "b"), ("a", "bc"), ("ab", "c"), ("x", "y")]
    pieces = ["a", "b", "c", "x", "y", "bc", "ab", "abc", "xy"]
    tokenizer = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, merges))
    _, smaller = cut(tokenizer, ["abc"], languages=("ko",))
    assert set(smaller.get_vocab()) == {"a", "b", "c", "bc", "ab", "abc"}
    assert json.loads(smaller.to_str())["model"]["merges"] == [list(merge) for merge in merges[:-1]]
    assert smaller.encode("ab").tokens == ["ab"]


def test_what_is_unknown_has_the_score_that_it_had(tokenizers):
    """It is below the lowest of all pieces, so that one stays."""
    whole = tokenizers["unigram"]
    lowest = [
        min(score for _, score in json.loads(t.to_str())["model"]["vocab"]) for t in (whole, cut(whole, ["바람"])[1])
    ]
    assert lowest[0] == lowest[1]


def test_single_characters_of_the_languages_stay_and_those_of_others_go(tokenizers):
    whole = tokenizers["unigram"]
    _, smaller = cut(whole, STUDY[:20])
    for text in ("quick dogs", "여우가"):
        assert shares(whole, smaller, [text])["unknown"] == 0
    assert shares(whole, smaller, ["лисица"])["unknown"] > 0
    _, russian = cut(whole, STUDY[:20], ("en", "ko", "ru"))
    assert shares(whole, russian, ["лисица"])["unknown"] == 0


@pytest.mark.parametrize("name", ["unigram", "bpe", "wordpiece"])
def test_whole_scripts_stay_if_asked(tokenizers, name):
    whole = tokenizers[name]
    english = [*OTHERS[:1], "foxes seventeen"]
    _, few = cut(whole, STUDY[:4], ("en",))
    _, all_latin = cut(whole, STUDY[:4], ("en",), whole_scripts=True)
    assert shares(whole, few, english)["changed"] > 0
    assert shares(whole, all_latin, english)["changed"] == 0
    assert shares(whole, all_latin, OTHERS[2:3])["changed"] > 0


def test_shares_count_tokens_by_text_and_place(tokenizers):
    whole = tokenizers["words"]
    _, smaller = cut(whole, ["query|en q"], ("ko",))
    assert shares(whole, smaller, ["query|en w1 q w2"]) == {"tokens": 4, "changed": 0.5, "unknown": 0.5}
    assert shares(whole, smaller, []) == {"tokens": 0, "changed": 0, "unknown": 0}


def based(workspace, folder, **changes):
    """The base that the encoder in `folder` becomes."""
    workspace.edit(base__name=str(folder), **{f"base__{key}": value for key, value in changes.items()})
    workspace.run("base")
    return SentenceTransformer(str(workspace.path / "models/base"), device="cpu")


def vectors(model):
    from stages.schemas.collected import COLLECTED_PASSAGES, COLLECTED_QUERIES
    from stages.shared import tables

    passages = tables.read("data/collected/passages.parquet", COLLECTED_PASSAGES)
    queries = tables.read("data/collected/queries.parquet", COLLECTED_QUERIES)
    return np.concatenate(
        [
            model.encode_document(passages.select(passage_text())["text"].to_list()),
            model.encode_query(queries["text"].to_list()),
        ]
    )


TEXTS = {"keep": "texts", "languages": []}
PROMPTS = {"query": "query: ", "passage": "passage: "}


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_encoder_keeps_its_vectors(workspace, training, tmp_path, tokenizers, name, tied):
    folder = save_transformer(tmp_path / "encoder", FAMILY[name], tokenizer=tokenizers[name])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": tied}))
    workspace.corpus(documents(), [(f"q{i}", f"p{i:02}") for i in range(4)])
    before = based(workspace, folder, prompts=PROMPTS)
    wanted, rows = vectors(before), before[0].model.get_input_embeddings().num_embeddings
    whole = json.loads(Path("metrics/base.json").read_text())
    assert whole["base"] == whole["encoder"]

    after = based(workspace, folder, vocabulary=TEXTS)
    np.testing.assert_allclose(vectors(after), wanted, atol=1e-6)
    table = after[0].model.get_input_embeddings()
    assert table.num_embeddings == after[0].model.config.vocab_size == len(after.tokenizer) < rows
    weights = load_file("models/base/model.safetensors")
    assert all(len(held) != rows for held in weights.values())
    for key in ("pad_token", "eos_token", "unk_token"):
        old, new = getattr(before.tokenizer, key), getattr(after.tokenizer, key)
        assert old == new
    assert after[0].model.config.pad_token_id == after.tokenizer.pad_token_id
    assert after.tokenizer.model_input_names == before.tokenizer.model_input_names

    told = json.loads(Path("metrics/base.json").read_text())
    assert told["encoder"] == whole["encoder"]
    assert told["base"]["pieces"] == len(after.tokenizer)
    assert told["base"]["bytes"] == sum(held.nbytes for held in weights.values())
    assert {lang: (own["changed"], own["unknown"]) for lang, own in told["texts"].items()} == dict.fromkeys(
        ("en", "ko"), (0, 0)
    )
    assert (told["samples"]["ru"]["changed"] > 0) == (name != "words")
    record = json.loads(Path("models/base/encoder.json").read_text())
    assert record["vocabulary"] == f"{len(after.tokenizer)} of {len(before.tokenizer)} pieces"


@pytest.mark.slow
def test_a_static_encoder_is_cut_as_well(workspace, training, tmp_path, tokenizers):
    import torch

    whole = tokenizers["unigram"]
    table = torch.randn(whole.get_vocab_size(), 8, generator=torch.Generator().manual_seed(0))
    folder = tmp_path / "static"
    SentenceTransformer(modules=[StaticEmbedding(whole, embedding_weights=table)]).save_pretrained(str(folder))
    workspace.corpus(documents(), [("q", "p00")])
    wanted = vectors(based(workspace, folder))
    after = based(workspace, folder, vocabulary=TEXTS)
    np.testing.assert_array_equal(vectors(after), wanted)
    assert len(after[0].embedding.weight) < len(table)


@pytest.mark.slow
def test_what_the_base_cuts_off_is_told_of_benchmarks(workspace, training, tmp_path, tokenizers, caplog):
    folder = save_transformer(tmp_path / "encoder", "xlm-r", tokenizer=tokenizers["unigram"])
    workspace.corpus(documents(), [(f"q{i}", f"p{i:02}") for i in range(4)])
    based(workspace, folder, vocabulary=TEXTS)
    workspace.run("benchmarks", "test")
    workspace.run("retrieve", "base", "base")
    told = json.loads(Path("metrics/vocabulary.json").read_text())
    assert {lang: own["changed"] for lang, own in told["test"].items()} == {"en": 0, "ko": 0}
    assert told["test"]["en"]["tokens"] > 0

    workspace.corpus([("p00", "test", {"en": ("", "foxes jumped over dogs"), "ko": ("", "여우가")})], [("q0", "p00")])
    workspace.run("benchmarks", "test")
    workspace.run("retrieve", "base", "base")
    told = json.loads(Path("metrics/vocabulary.json").read_text())
    assert told["test"]["en"]["changed"] > 0
    assert told["test"]["en"]["unknown"] == 0
    assert "test, en: base.vocabulary changes" in caplog.text


@pytest.mark.slow
def test_without_a_cut_there_is_nothing_to_tell(workspace, training, tmp_path, tokenizers):
    workspace.corpus(documents(), [("q", "p01")])
    based(workspace, save_transformer(tmp_path / "encoder", "bert"))
    workspace.run("benchmarks", "test")
    workspace.run("retrieve", "base", "base")
    assert json.loads(Path("metrics/vocabulary.json").read_text()) == {}
    assert not Path("models/base/whole-tokenizer.json").exists()
