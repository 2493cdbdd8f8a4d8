"""Texts to unit vectors: as sentence-transformers computes them."""

import json
import shutil

import numpy as np
import pytest

from stages.shared import encoder, models, query_normalizer
from stages.shared.errors import UserError
from tests.fakes.checkpoints import (
    WORDS,
    save_published,
    save_record,
    save_sentence_transformer,
    static_model,
    with_tokens_added,
)

PROMPTS = {"query": "q: ", "document": "p: "}


def texts(count=50):
    rng = np.random.default_rng(0)
    made = [" ".join(rng.choice(WORDS, rng.integers(1, 30))) for _ in range(count)]
    return [*made[:10], "", *made[10:20], "nothing known", "   ", *made[20:], ""]


def plain(model, some, role, **how):
    encode = model.encode_query if role == "query" else model.encode_document
    return encode(some, normalize_embeddings=True, **how)


@pytest.mark.parametrize("prompts", [None, PROMPTS, {"query": "q: "}, {"query": "q: ", "passage": "p: "}])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_static_vectors_are_those_of_sentence_transformers(tmp_path, prompts, batch_size):
    model = static_model(prompts=prompts)
    model.save_pretrained(str(tmp_path), create_model_card=False)
    own = encoder.load(tmp_path, batch_size)
    assert isinstance(own, encoder.StaticEncoder)
    for role in ("query", "passage"):
        found = own.encode(texts(), role)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, plain(model, texts(), role), atol=1e-6, rtol=0)


def test_static_texts_without_a_token_are_zeros(tmp_path):
    static_model().save_pretrained(str(tmp_path), create_model_card=False)
    own = encoder.load(tmp_path, 4)
    assert not own.encode(["", " ", ""], "query").any()
    assert own.encode([], "query").shape == (0, 8)
    lengths = np.linalg.norm(own.encode(["w1", "", "w2 w3"], "passage"), axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 1], atol=1e-6)


def test_a_static_model_in_half_precision_is_read_in_float32(tmp_path):
    static_model().half().save_pretrained(str(tmp_path / "half"), create_model_card=False)
    static_model().save_pretrained(str(tmp_path / "full"), create_model_card=False)
    half, full = (encoder.load(tmp_path / name, 8).encode(texts(), "query") for name in ("half", "full"))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, atol=2e-3)


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "st"
    return save_sentence_transformer(folder, "bert", prompts={"query": "query: ", "document": "passage: "})


def test_a_transformer_reads_the_prompt_of_the_role(transformer):
    from sentence_transformers import SentenceTransformer

    own = encoder.load(transformer, 4)
    assert isinstance(own, encoder.TransformerEncoder)
    model = SentenceTransformer(str(transformer), device="cpu")
    some = ["w1 w2", "w3", "w4 w5 w6"]
    by_hand = {
        "query": model.encode(["query: " + t for t in some], prompt="", normalize_embeddings=True),
        "passage": model.encode(["passage: " + t for t in some], prompt="", normalize_embeddings=True),
    }
    for role, wanted in by_hand.items():
        np.testing.assert_allclose(own.encode(some, role), wanted, atol=1e-5)
    assert np.abs(by_hand["query"] - by_hand["passage"]).max() > 1e-2


def test_bfloat16_gives_unit_vectors_in_float32(transformer, tmp_path):
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(transformer), device="cpu").to(torch.bfloat16)
    model.save_pretrained(str(tmp_path / "bf16"), create_model_card=False)
    own = encoder.load(tmp_path / "bf16", 4)
    assert next(own.model.parameters()).dtype == torch.bfloat16
    found = own.encode(["w1 w2", "w3"], "query")
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


class Counting:
    def __init__(self):
        self.seen = []

    def encode(self, some, role):
        self.seen.append((role, list(some)))
        return np.array([[len(t), hash(t) % 97] for t in some], np.float32)


def test_equal_texts_are_encoded_once_and_given_back_in_place():
    counting = Counting()
    some = ["b", "a", "b", "cc", "a"]
    found = encoder.encode_distinct(counting, some, "query")
    assert counting.seen == [("query", ["b", "a", "cc"])]
    assert np.array_equal(found, Counting().encode(some, "query"))


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(UserError, match=r"holds no model \(modules\.json is missing\)"):
        encoder.load(tmp_path, 4)


@pytest.mark.parametrize("kind", ["static", "transformer"])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "modules.json", "config_sentence_transformers.json"]
)
def test_a_file_that_is_cut_off_is_named(transformer, tmp_path, kind, name):
    folder = tmp_path / "m"
    if kind == "static":
        static_model().save_pretrained(str(folder), create_model_card=False)
    else:
        shutil.copytree(transformer, folder)
    whole = (folder / name).read_bytes()
    for kept in (0, len(whole) // 2):
        (folder / name).write_bytes(whole[:kept])
        with pytest.raises(UserError, match=f"^{folder}/{name} is damaged or cut off.*: run `dvc repro`") as caught:
            encoder.load(folder, 4)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [models.RECORD, models.NORMALIZER])
def test_what_stages_add_to_a_model_is_named_when_it_is_cut_off(transformer, tmp_path, name):
    shutil.copytree(transformer, tmp_path / "m")
    (tmp_path / "m" / name).write_text('{"na')
    with pytest.raises(UserError, match=f"{name} is damaged or cut off .*: run `dvc repro`, which makes it again"):
        encoder.load(tmp_path / "m", 4)


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_token_ids_beyond_the_table_are_refused(transformer, tmp_path, kind):
    folder = tmp_path / "m"
    if kind == "static":
        static_model().save_pretrained(str(folder), create_model_card=False)
    else:
        shutil.copytree(transformer, folder)
    with_tokens_added(folder)
    with pytest.raises(
        UserError, match=r"gives ids up to \d+ \('new2'\), but its table of embeddings has \d+ rows: save"
    ):
        encoder.load(folder, 4)


def test_a_table_may_be_followed_by_its_normalization(tmp_path):
    from sentence_transformers.sentence_transformer.modules import Normalize

    model = static_model()
    model.add_module("1", Normalize())
    model.save_pretrained(str(tmp_path), create_model_card=False)
    kinds = [m["type"].rsplit(".", 1)[-1] for m in json.loads((tmp_path / "modules.json").read_text())]
    assert kinds == ["StaticEmbedding", "Normalize"]
    np.testing.assert_allclose(
        encoder.load(tmp_path, 8).encode(texts(), "query"), plain(model, texts(), "query"), atol=1e-6
    )


def test_a_transformer_gives_no_texts_no_vectors(transformer):
    found = encoder.load(transformer, 4).encode([], "query")
    assert (found.shape, found.dtype) == ((0, 32), np.float32)


def test_texts_of_all_lengths_get_their_own_vectors_whatever_the_batch(transformer):
    some = texts()
    whole = encoder.load(transformer, 64).encode(some, "passage")
    alone = encoder.load(transformer, 1).encode(some, "passage")
    np.testing.assert_allclose(whole, alone, atol=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_attention_is_that_of_the_folders_record(transformer, tmp_path, attention):
    shutil.copytree(transformer, tmp_path / "recorded")
    save_record(tmp_path / "recorded", attention=attention)
    own = encoder.load(tmp_path / "recorded", 4)
    assert own.model[0].model.config._attn_implementation == attention
    plain = encoder.load(transformer, 4).encode(texts(), "query")
    np.testing.assert_allclose(own.encode(texts(), "query"), plain, atol=1e-5)


def test_a_published_static_model_needs_no_torch(tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = save_published(tmp_path, "sentence-transformers/static-similarity-mrl-multilingual-v1")
    own = encoder.load(folder, 8)
    assert isinstance(own, encoder.StaticEncoder)
    np.testing.assert_allclose(
        own.encode(texts(), "query"), plain(SentenceTransformer(str(folder)), texts(), "query"), atol=1e-6
    )


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_queries_are_normalized_and_passages_are_not(kind, tmp_path):
    raw, clean = ["krna w1!!!", "zzzz w1", "नहीं w2"], ["karna w1!", "z w1", "nahi w2"]
    words = [*WORDS, "krna", "karna", "z", "zzzz", "nahi", "नहीं", "w1!", "w1!!!", "!"]
    if kind == "static":
        static_model(words=words).save_pretrained(str(tmp_path / "m"), create_model_card=False)
    else:
        save_sentence_transformer(tmp_path / "m", "bert", words=words)
    plain = encoder.load(tmp_path / "m", 4)
    learnt = query_normalizer.learn({"elongation": True, "script": True, "spelling": True}, ["karna karna krna"], [])
    (tmp_path / "m" / models.NORMALIZER).write_text(json.dumps(learnt), encoding="utf-8")
    own = encoder.load(tmp_path / "m", 4)
    np.testing.assert_allclose(own.encode(raw, "query"), plain.encode(clean, "query"), atol=1e-6)
    np.testing.assert_allclose(own.encode(raw, "passage"), plain.encode(raw, "passage"), atol=1e-6)
    gap = np.abs(own.encode(raw, "query") - plain.encode(raw, "query")).max(axis=1)
    assert (gap > 1e-3).all()


def test_a_re_ranker_is_no_encoder(tmp_path):
    (tmp_path / "modules.json").write_text('[{"path": "", "type": "sentence_transformers.base.modules.Transformer"}]')
    (tmp_path / "config_sentence_transformers.json").write_text('{"model_type": "CrossEncoder"}')
    with pytest.raises(UserError, match=r"is a re-ranker, which has no vectors: name it under rerank"):
        encoder.load(tmp_path, 4)
