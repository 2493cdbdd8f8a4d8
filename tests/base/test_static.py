"""The bootstrap of a static base: it repeats to the byte, learns translations and sees no query."""

import numpy as np
import polars as pl
import pytest
from sentence_transformers import SentenceTransformer

from stages.base import static
from stages.schemas.texts import PASSAGES
from tests.base.bootstrapping import SMALL, bootstrapped, content, documents

pytestmark = pytest.mark.slow


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
    # The record tells of the tokens that the queries have and the base does not know.
    assert content(workspace) | {"encoder.json": b""} == one | {"encoder.json": b""}


def of_knowledge_base(workspace, *queries, normalizer=None):
    """The vectors of a static base of English entries and labelled queries (split, Hinglish text), by token."""
    workspace.edit(**{f"base__static__{k}": v for k, v in SMALL.items()})
    texts = [(n, "en", *t["en"], "", "train") for n, _, t in documents()]
    workspace.knowledge_base([], []).edit(base__query_normalizer=normalizer)
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
    short = of_knowledge_base(workspace, *((split, text + "!") for split, text in TRAINED), normalizer=parts)
    long = [(split, text + "!!!!") for split, text in TRAINED]
    assert same(of_knowledge_base(workspace, *long, normalizer=parts), short)
    assert not same(of_knowledge_base(workspace, *long), short)


def test_the_tokenizer_normalizes_and_repeats():
    texts = [text for _, _, by_lang in documents() for both in by_lang.values() for text in both]
    one, other = (static.train_tokenizer(texts, 200) for _ in range(2))
    assert one.to_str() == other.to_str()
    assert one.get_vocab_size() <= 200
    assert one.encode("ＷＯＲＤ w1").ids == one.encode("word W1").ids
    assert "".join(one.encode("title e1").tokens) == "▁title▁e1"
