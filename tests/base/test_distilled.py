"""A static base that begins with an encoder's vectors of the pieces that its documents use."""

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from stages.base import distilled
from stages.shared.errors import UserError
from tests.base.bootstrapping import SMALL, content, documents
from tests.fakes.checkpoints import SIZE, save_transformer
from tests.fakes.tokenizers import UNUSED, unigram

DIMENSION = 16
TEXTS = [text for _, _, by_lang in documents() for both in by_lang.values() for text in both]


def test_rows_keep_what_vectors_differ_in_and_the_common_are_short():
    rng = np.random.default_rng(0)
    # Three directions that matter, in eight dimensions, and a mean that does not.
    vectors = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 8)) + 0.01 * rng.normal(size=(400, 8)) + 5
    shares = np.where(np.arange(400) == 7, distilled.SIF, 0)
    rows = distilled.rows(vectors.astype(np.float32), shares, 3)
    assert rows.shape == (400, 3)
    assert rows.dtype == np.float32
    assert np.sqrt((rows**2).sum(axis=1).mean()) == pytest.approx(distilled.ROW_LENGTH, rel=1e-4)
    variances = rows.var(axis=0)
    assert list(variances) == sorted(variances, reverse=True)
    # But for the common piece, distances are those of the unit vectors, to a factor.
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = np.delete(np.arange(400), 7)
    ratio = np.linalg.norm(rows[others[1:]] - rows[0], axis=1) / np.linalg.norm(unit[others[1:]] - unit[0], axis=1)
    assert ratio.std() / ratio.mean() < 0.02
    even = distilled.rows(vectors.astype(np.float32), np.zeros(400), 3)
    length = np.linalg.norm(rows[7]) / np.linalg.norm(rows[0])
    assert length == pytest.approx(np.linalg.norm(even[7]) / np.linalg.norm(even[0]) / 2, rel=1e-4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders") / "encoder"
    return save_transformer(folder, "xlm-r", tokenizer=unigram([*TEXTS, "Быстрая лисица перепрыгнула"] * 2))


def based(workspace, encoder, made=None, **changes):
    """The files of the static base that begins with the encoder in a folder."""
    settings = {**SMALL, "dimension": DIMENSION, "from": str(encoder), **changes}
    workspace.edit(**{f"base__static__{key}": value for key, value in settings.items()})
    workspace.corpus(made or documents(), [("q", "p00")])
    workspace.run("base")
    return content(workspace)


def loaded():
    return SentenceTransformer("models/base", device="cpu")


@pytest.mark.slow
def test_the_table_begins_with_the_encoders_vectors_of_the_pieces_in_use(workspace, training, encoder):
    based(workspace, encoder, steps=1, learning_rate=1e-9)
    model, whole = loaded(), SentenceTransformer(str(encoder), device="cpu")
    pieces = model.tokenizer.get_vocab()
    assert UNUSED not in pieces
    assert set(pieces) < set(whole.tokenizer.get_vocab())
    texts = ["Title e1", "가을 바람"]
    assert [model.tokenizer.encode(text, add_special_tokens=False).tokens for text in texts] == [
        whole.tokenizer.tokenize(text) for text in texts
    ]
    # Of pieces that no document uses, such as letters, lengths are the vectors' own.
    used = {piece for text in TEXTS for piece in whole.tokenizer.tokenize(text)}
    rare = sorted(piece for piece in set(pieces) - used if len(piece) == 1)
    assert len(rare) > 5
    ids = whole.tokenizer.convert_tokens_to_ids(rare)
    start, end = whole.tokenizer.bos_token_id, whole.tokenizer.eos_token_id
    import torch

    tokens = torch.tensor([[start, number, end] for number in ids])
    with torch.no_grad():
        wanted = whole.eval()({"input_ids": tokens, "attention_mask": torch.ones_like(tokens)})["sentence_embedding"]
    unit = torch.nn.functional.normalize(wanted).numpy()
    rows = model[0].embedding.weight.detach().numpy()[[pieces[piece] for piece in rare]]
    far, near = (np.linalg.norm(some[:, None] - some[None], axis=2) for some in (unit, rows))
    # Half of the dimensions are left, so distances are alike, not equal.
    assert np.corrcoef(far[far > 0], near[far > 0])[0, 1] > 0.8
    record = json.loads(Path("models/base/encoder.json").read_text())
    assert record["from"] == "encoder"
    assert record["dimension"] == DIMENSION


@pytest.mark.slow
def test_it_repeats_to_the_byte_and_encodes_pieces_once(workspace, training, encoder, monkeypatch):
    one = based(workspace, encoder)
    monkeypatch.setattr(distilled._Alone, "encode", None)
    assert based(workspace, encoder) == one
    noise = based(workspace, encoder, **{"from": None})
    assert noise["model.safetensors"] != one["model.safetensors"]


@pytest.mark.slow
def test_documents_of_train_alone_if_asked(workspace, training, encoder):
    def but_for(split):
        """Documents whose texts are others in one split."""
        return [
            (name, own, {lang: (title, text + " w39 학교 산길" * 3) for lang, (title, text) in by_lang.items()})
            if own == split
            else (name, own, by_lang)
            for name, own, by_lang in documents()
        ]

    for origin in (encoder, None):
        settings = {"documents": "train", "from": origin and str(origin)}
        one = based(workspace, encoder, **settings)
        told = json.loads(Path("metrics/base.json").read_text())
        assert told["documents"] == 2 * sum(own == "train" for _, own, _ in documents())
        assert based(workspace, encoder, but_for("test"), **settings) == one
        assert based(workspace, encoder, but_for("train"), **settings) != one
        assert based(workspace, encoder, **settings | {"documents": "all"}) != one


@pytest.mark.slow
def test_an_encoder_has_dimensions_enough(workspace, training, encoder):
    with pytest.raises(UserError, match=f"base.static.dimension is 99, but .+ has {SIZE} dimensions: lower it"):
        based(workspace, encoder, dimension=99)


@pytest.mark.slow
def test_a_mistake_names_the_key_that_it_is_in(workspace, training):
    with pytest.raises(UserError, match=r"base.static.from is './nowhere', which is no folder"):
        based(workspace, "./nowhere")
