"""base: the bootstrap repeats to the byte and sees no query; a pretrained encoder gets what params say."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from stages.base import __main__ as main
from stages.base import static
from stages.schemas.texts import PASSAGES
from stages.settings.base import QueryNormalizer
from stages.shared import collection, query_normalizer
from stages.shared.errors import UserError
from tests.fakes.checkpoints import WORDS, save_sentence_transformer

WORDS_KO = ["가을", "바람", "서울", "도서관", "역사", "과학", "바다", "산길", "음악", "학교"]


def documents(count=24):
    """Passages whose every word is of the passage alone or of a small stock."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        english = " ".join(rng.choice(WORDS, 12))
        korean = " ".join(rng.choice(WORDS_KO, 12))
        texts = {
            "en": (f"Title e{i}", f"Begin e{i} {english}. Then e{i} {english}."),
            "ko": (f"제목 k{i}", f"처음 k{i} {korean}. 다음 k{i} {korean}."),
        }
        made.append((f"p{i:02}", "test" if i % 3 else "train", texts))
    return made


SMALL = {"vocabulary": 300, "dimension": 16, "steps": 6, "batch_size": 32}


def bootstrapped(workspace):
    workspace.edit(**{f"base__static__{k}": v for k, v in SMALL.items()})
    workspace.corpus(documents(), [("q", "p00")])
    workspace.run("base")
    folder = workspace.path / "models/base"
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_the_bootstrap_repeats_to_the_byte_and_leaves_no_state(workspace, training):
    one = bootstrapped(workspace)
    assert {"model.safetensors", "tokenizer.json", "modules.json"} <= set(one)
    assert not list(training.STATE.rglob("checkpoint-*"))
    assert bootstrapped(workspace) == one
    workspace.edit(seed=2)
    assert bootstrapped(workspace)["model.safetensors"] != one["model.safetensors"]


def test_the_bootstrap_learns_translations(workspace, training):
    """After some steps a title's nearest among the other language's titles is its translation far above chance."""
    workspace.edit(**{f"base__static__{k}": v for k, v in {**SMALL, "steps": 40, "batch_size": 64}.items()})
    workspace.corpus(documents(), [])
    workspace.run("base")
    model = SentenceTransformer(str(workspace.path / "models/base"), device="cpu")
    sides = [model.encode([d[2][lang][1] for d in documents()], normalize_embeddings=True) for lang in ("en", "ko")]
    right = (sides[0] @ sides[1].T).argmax(axis=1) == np.arange(24)
    assert right.mean() > 0.5


def pairs(count):
    rows = [(name, lang, *texts[lang], "", split) for name, split, texts in documents() for lang in ("en", "ko")]
    return static.pairs(pl.DataFrame(rows, schema=PASSAGES, orient="row"), ["en", "ko"], count, 1)


def test_pairs_are_of_one_document_and_all_documents_serve_in_all_directions():
    seen = set()
    for row in pairs(24 * 4 * 2):
        (number,) = row["label"]
        _, _, texts = documents()[number]
        langs = []
        for side in ("query", "positive"):
            own = [lang for lang in ("en", "ko") if any(row[side] in part for part in texts[lang])]
            assert len(own) == 1, row
            langs += own
        seen.add((number, *langs))
    assert seen == {(n, a, b) for n in range(24) for a in ("en", "ko") for b in ("en", "ko")}


def test_pairs_repeat_with_their_seed_and_have_the_size_asked_for():
    assert pairs(100) == pairs(100)
    assert len(pairs(100)) == 100


def test_no_query_is_heeded(workspace, training):
    one = bootstrapped(workspace)
    workspace.corpus(documents(), [("unheardof", "p00"), ("another", "p03")])
    workspace.run("base")
    folder = workspace.path / "models/base"
    assert {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()} == one


def of_knowledge_base(workspace, *queries, normalize=None):
    """The vectors of a static base of English entries and labelled queries (split, Hinglish text), by token."""
    workspace.edit(**{f"base__static__{k}": v for k, v in SMALL.items()})
    texts = [(n, "en", *t["en"], "", "train") for n, _, t in documents()]
    workspace.knowledge_base([], []).edit(base__normalize=normalize)
    workspace.tables(
        "corpus",
        texts,
        [(f"q{i}", "hi-Latn", text) for i, (_, text) in enumerate(queries)],
        labelled=[("query", f"q{i}", "a", "labelled", split) for i, (split, _) in enumerate(queries)],
    )
    workspace.run("base")
    model = SentenceTransformer(str(workspace.path / "models/base"), device="cpu")
    weights = model[0].embedding.weight.detach().numpy()
    return {token: weights[number] for token, number in model.tokenizer.get_vocab().items()}


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[token], other[token]) for token in one)


TRAINED = [("train", f"zzkyq mera paisa wapas kab aayega {i} zzkyq") for i in range(8)]


def test_training_queries_of_a_knowledge_base_are_documents_and_those_of_dev_and_test_are_not(workspace, training):
    alone = of_knowledge_base(workspace)
    trained = of_knowledge_base(workspace, *TRAINED)
    assert not [token for token in alone if "zzk" in token]
    assert [token for token in trained if "zzk" in token]
    assert same(of_knowledge_base(workspace, *TRAINED), trained)
    hidden = [(split, f"xxvwj {text} xxvwj") for split in ("dev", "test") for _, text in TRAINED]
    assert same(of_knowledge_base(workspace, *TRAINED, *hidden), trained)


def test_a_normalizer_reads_training_queries_before_the_bootstrap_does(workspace, training):
    parts = {"elongation": True, "script": True, "spelling": False}
    short = of_knowledge_base(workspace, *((split, text + "!") for split, text in TRAINED), normalize=parts)
    long = [(split, text + "!!!!") for split, text in TRAINED]
    assert same(of_knowledge_base(workspace, *long, normalize=parts), short)
    assert not same(of_knowledge_base(workspace, *long), short)


NORMALIZE = {"elongation": True, "script": True, "spelling": True}


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
    passages, entries = collection.read_passages(), collection.read_entries(languages)
    found = main.learnt(QueryNormalizer(**NORMALIZE), passages, entries)
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
    assert query_normalizer.FILE not in without
    workspace.edit(base__normalize=NORMALIZE)
    for _ in range(2):
        written.append(bootstrapped(workspace))
    assert written[0] == written[1]
    assert written[0].pop(query_normalizer.FILE)
    assert written[0] == without


def test_the_tokenizer_normalizes_and_repeats():
    texts = [text for _, _, by_lang in documents() for both in by_lang.values() for text in both]
    one, other = (static.train_tokenizer(texts, 200) for _ in range(2))
    assert one.to_str() == other.to_str()
    assert one.get_vocab_size() <= 200
    assert one.encode("ＷＯＲＤ w1").ids == one.encode("word W1").ids
    assert "".join(one.encode("title e1").tokens) == "▁title▁e1"


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
    }


def test_a_base_is_the_same_bytes_again(workspace, training, checkpoints):
    written = []
    for _ in range(2):
        based(workspace, checkpoints["xlm-r", "transformers"])
        out = workspace.path / "models/base"
        written.append({str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()})
    assert written[0] == written[1]
