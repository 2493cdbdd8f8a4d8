"""base: a pretrained encoder gets what params say, and a normaliser of queries what training queries tell."""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from stages.base import __main__ as main
from stages.settings.base import QueryNormalizer
from stages.shared import models
from stages.shared.errors import UserError
from tests.base.bootstrapping import bootstrapped, content, documents
from tests.fakes.checkpoints import save_sentence_transformer

NORMALIZER = {"elongation": True, "script": True, "spelling": True}


ASKED = [
    ("train", "hi-Latn", "nahi nahi karna begin"),
    ("train", "hi-Latn", "nhi mujhe colour"),
    ("test", "hi-Latn", "krna sirf"),
    ("train", "en", "colour kolour"),
]


def learnt(workspace, asked):
    """Of labelled queries (split, language, text)."""
    workspace.tables(
        "corpus",
        [(n, lang, *texts[lang], "", split) for n, split, texts in documents() for lang in ("en", "ko")],
        [(f"q{i}", lang, text) for i, (_, lang, text) in enumerate(asked)],
        labelled=[("query", f"q{i}", "a", "labelled", split) for i, (split, _, _) in enumerate(asked)],
    )
    workspace.tables("synthetic")
    languages = ["en", "ko", "hi-Latn"]
    found = main.learnt(QueryNormalizer(**NORMALIZER), *main.documents(languages))
    return sorted(found["spellings"].values()), set(found["vocabulary"])


def test_spellings_are_those_of_training_queries_in_languages_that_the_passages_lack(workspace):
    spellings, vocabulary = learnt(workspace, ASKED)
    assert spellings == [["karna"], ["mujhe"], ["nahi", "nhi"]]
    assert {"begin", "title", "colour", "kolour"} <= vocabulary
    assert not {"nahi", "sirf"} & vocabulary


def test_without_such_queries_spellings_are_those_of_all_training_queries(workspace):
    spellings, vocabulary = learnt(workspace, [(split, "en", text) for split, _, text in ASKED])
    assert spellings == [["colour"], ["karna"], ["kolour"], ["mujhe"], ["nahi", "nhi"]]
    assert "colour" not in vocabulary


def test_a_normalizer_is_the_same_bytes_again_and_changes_nothing_else(workspace, training):
    without, written = bootstrapped(workspace), []
    assert models.NORMALIZER not in without
    workspace.edit(base__query_normalizer=NORMALIZER)
    for _ in range(2):
        written.append(bootstrapped(workspace))
    assert written[0] == written[1]
    assert written[0].pop(models.NORMALIZER)
    assert written[0] == without


@pytest.mark.parametrize(
    ("key", "value"),
    [("pooling", "cls"), ("max_length", 9), ("prompts", {"query": "", "passage": "x"}), ("attention", "eager")],
)
def test_what_a_static_base_has_not_is_refused(workspace, training, key, value):
    workspace.edit(**{f"base__{key}": value})
    with pytest.raises(UserError, match=f"base.{key} does not apply to base.name static"):
        workspace.run("base")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Folders of tiny random encoders: {(family, layout): folder}."""
    at = tmp_path_factory.mktemp("checkpoints")
    found = {}
    for family in ("bert", "xlm-r"):
        folder = at / f"{family}-st"
        save_sentence_transformer(folder, family, prompts={"query": "query: ", "document": "passage: "})
        found[family, "sentence-transformers"] = folder
        found[family, "transformers"] = folder.with_name(folder.name + "-plain")
    return found


def based(workspace, folder, **changes):
    workspace.edit(base__name=str(folder), **{f"base__{k}": v for k, v in changes.items()}).run("base")
    return SentenceTransformer(str(workspace.path / "models/base"), device="cpu", model_kwargs={"torch_dtype": "auto"})


def hidden(folder, text):
    """The last hidden states of a plain checkpoint, and the attention mask."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(str(folder)), AutoModel.from_pretrained(str(folder))
    inputs = tokenizer([text], return_tensors="pt")
    with torch.no_grad():
        return model.eval()(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state[0]


@pytest.mark.parametrize("family", ["bert", "xlm-r"])
@pytest.mark.parametrize(
    ("pooling", "pooled"),
    [
        ("cls", lambda h: h[0]),
        (None, lambda h: h.mean(0)),
        ("max", lambda h: h.max(0).values),
        ("lasttoken", lambda h: h[-1]),
    ],
)
def test_a_plain_checkpoint_is_pooled_as_asked(workspace, training, checkpoints, family, pooling, pooled):
    folder = checkpoints[family, "transformers"]
    model = based(workspace, folder, pooling=pooling)
    wanted = pooled(hidden(folder, "w1 w2 w3"))
    np.testing.assert_allclose(model.encode(["w1 w2 w3"])[0], wanted, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "xlm-r"])
def test_a_sentence_transformer_is_taken_as_it_says_of_itself(workspace, training, checkpoints, family):
    folder = checkpoints[family, "sentence-transformers"]
    model = based(workspace, folder)
    assert [type(m) for m in model][1:] == [Pooling, Normalize]
    assert model.prompts == {"query": "query: ", "document": "passage: "}
    assert model.max_seq_length == SentenceTransformer(str(folder)).max_seq_length
    vector = hidden(checkpoints[family, "transformers"], "query: w1 w2")[0]
    np.testing.assert_allclose(model.encode_query(["w1 w2"])[0], vector / vector.norm(), atol=1e-5)


def test_params_come_before_what_a_model_says_of_itself(workspace, training, checkpoints):
    folder = checkpoints["bert", "sentence-transformers"]
    model = based(
        workspace, folder, pooling="mean", prompts={"query": "w7 ", "passage": "w8 "}, max_length=6, dtype="bfloat16"
    )
    assert model[1].pooling_mode == "mean" or model[1].get_pooling_mode_str() == "mean"
    assert isinstance(model[2], Normalize)
    assert model.max_seq_length == 6
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    full = model.float()
    vector = hidden(checkpoints["bert", "transformers"], "w7 w1").mean(0)
    np.testing.assert_allclose(full.encode_query(["w1"])[0], vector / vector.norm(), atol=0.02)
    vector = hidden(checkpoints["bert", "transformers"], "w8 w1 w2 w3").mean(0)
    # Six tokens: [CLS], four words, [SEP].
    np.testing.assert_allclose(full.encode_document(["w1 w2 w3 w4 w5"])[0], vector / vector.norm(), atol=0.02)


def test_nothing_saved_depends_on_the_day(workspace, training, checkpoints):
    based(workspace, checkpoints["bert", "transformers"])
    names = {f.name for f in (workspace.path / "models/base").rglob("*")}
    assert "README.md" not in names
    assert "model.safetensors" in names


def test_the_record_says_how_the_base_is_run(workspace, training, checkpoints):
    folder = checkpoints["xlm-r", "sentence-transformers"]
    based(workspace, folder, prompts={"query": "w7 ", "passage": ""}, max_length=20, dtype="bfloat16")
    assert json.loads((workspace.path / "models/base/encoder.json").read_text()) == {
        "name": "xlm-r-st",
        "preset": None,
        "revision": None,
        "pooling": "cls",
        "prompts": {"query": "w7 ", "passage": ""},
        "max_length": 20,
        "dtype": "bfloat16",
        "attention": "sdpa",
        "padding": "right",
        "dimension": 32,
        "trust_remote_code": False,
    }


def test_the_record_says_what_the_tokenizer_does_not_know_of_the_collection(workspace, training, checkpoints, caplog):
    known = {"en": ("", "w1 w2"), "ko": ("", "w3 누가")}
    workspace.corpus([("p1", "train", known)])
    based(workspace, checkpoints["bert", "transformers"])
    assert models.record(models.BASE)["unknown"] == {"en": 0.0, "ko": 0.5}
    assert "of the tokens 50% in ko are unknown to its tokenizer" in caplog.text
    workspace.corpus([("p1", "train", {"en": ("", "who"), "ko": ("", "누가")})])
    with pytest.raises(UserError, match=r"base\.name .* knows nearly nothing of the texts"):
        based(workspace, checkpoints["bert", "transformers"])


def test_a_base_is_the_same_bytes_again(workspace, training, checkpoints):
    written = []
    for _ in range(2):
        based(workspace, checkpoints["xlm-r", "transformers"])
        written.append(content(workspace))
    assert written[0] == written[1]
