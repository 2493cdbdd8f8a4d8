"""MIRACL and mMARCO: questions, qrels and collections in files of their own."""

import pytest

from stages.shared import files
from stages.shared.errors import UserError


def miracl(publish, split="dev"):
    judged = "0\tQ0\t12#0\t1\n0\tQ0\t12#1\t0\n1\tQ0\t12#1\t1\n"
    for lang, word in (("en", "one"), ("ko", "하나")):
        own, docs = f"miracl/miracl-v1.0-{lang}", f"miracl-corpus/miracl-corpus-v1.0-{lang}"
        publish(
            {
                f"{own}/topics/topics.miracl-v1.0-{lang}-{split}.tsv": f'0\t"{word} ?\n1\t{word}  2\n',
                f"{own}/qrels/qrels.miracl-v1.0-{lang}-{split}.tsv": judged,
                f"{docs}/docs-0.jsonl.gz": [{"docid": "12#0", "title": "T", "text": f"{word} a"}],
                f"{docs}/docs-1.jsonl.gz": [{"docid": "12#1", "title": None, "text": f"{word} b"}],
            }
        )


def test_miracls_languages_have_ids_of_their_own(publish, made):
    miracl(publish)
    found = made("miracl")
    assert found.passages == [
        ("en:12#0", "en", "T", "one a"),
        ("en:12#1", "en", "", "one b"),
        ("ko:12#0", "ko", "T", "하나 a"),
        ("ko:12#1", "ko", "", "하나 b"),
    ]
    assert found.queries == [
        ("en:0", "en", '"one ?'),
        ("en:1", "en", "one 2"),
        ("ko:0", "ko", '"하나 ?'),
        ("ko:1", "ko", "하나 2"),
    ]
    # What is judged not relevant is no judgement here.
    assert found.qrels == [(f"{lang}:{i}", f"{lang}:12#{i}", lang, 1) for lang in ("en", "ko") for i in (0, 1)]


def test_miracls_candidates_are_of_their_language(publish, made):
    miracl(publish)
    publish({f"runs/bm25.{lang}.txt": f"0 Q0 12#{i} 1 3.0 bm25\n" for i, lang in enumerate(("en", "ko"))})
    assert made("miracl", rerank="bm25.{lang}.txt").rerank == [("en:0", "en:12#0"), ("ko:0", "ko:12#1")]


def test_miracl_in_another_split_or_in_part(publish, made):
    miracl(publish, "train")
    assert len(made("miracl", ["ko"], split="train").queries) == 2
    with pytest.raises(UserError, match=r"no topics\.miracl-v1\.0-<language>-dev\.tsv in ko \(it has no such file\)"):
        made("miracl", ["ko"])
    publish({"miracl/miracl-v1.0-ko/qrels/qrels.miracl-v1.0-ko-train.tsv": "0\tQ0\t12#0\n"})
    with pytest.raises(UserError, match=r"qrels\.miracl-v1\.0-ko-train\.tsv:1 is no judgement"):
        made("miracl", ["ko"], split="train")


def mmarco(publish, english='\ufeff0\tThe  "first\n1\tsecond\ttab\n2\t\n', **more):
    publish(
        {
            "google/collections/english_collection.tsv": english,
            "google/collections/spanish_collection.tsv": "0\tEl primero\n1\tsegundo\n",
            "google/queries/dev/english_queries.dev.small.tsv": "10\twhat?\n11\twhich?\n",
            "google/queries/dev/spanish_queries.dev.small.tsv": "10\t¿qué?\n11\t¿cuál?\n",
            "qrels.dev.small.tsv": "10\t0\t0\t1\n11\t0\t1\t1\n11\t0\t7\t1\n",
            **more,
        }
    )


def test_mmarcos_ids_are_parallel(publish, made, caplog):
    mmarco(publish)
    found = made("mmarco", ["en", "es"])
    assert found.passages == [
        ("0", "en", "", 'The "first'),
        ("0", "es", "", "El primero"),
        ("1", "en", "", "second tab"),
        ("1", "es", "", "segundo"),
    ]
    assert found.queries == [
        ("10", "en", "what?"),
        ("10", "es", "¿qué?"),
        ("11", "en", "which?"),
        ("11", "es", "¿cuál?"),
    ]
    assert found.qrels == [(q, p, lang, 1) for q, p in (("10", "0"), ("11", "1")) for lang in ("en", "es")]
    assert "left out: 1 qrels of passages that are not there" in caplog.text


@pytest.mark.parametrize("relevance", ["0.8", "", "²", "NaN"])
def test_relevance_is_a_whole_number(publish, made, relevance):
    mmarco(publish, **{"qrels.dev.small.tsv": f"10\t0\t0\t1\n11\t0\t1\t{relevance}\n"})
    with pytest.raises(UserError, match=r"qrels\.dev\.small\.tsv:2 is no judgement: its relevance is"):
        made("mmarco", ["en"])


def test_a_compressed_collection(publish, made):
    mmarco(publish)
    publish({"x/german_collection.tsv.gz": "0\teins\n", "x/german_queries.dev.small.tsv": "10\twas?\n"})
    assert made("mmarco", ["de"]).passages == [("0", "de", "", "eins")]


def test_a_line_that_never_ends_is_refused(publish, made, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 1_000_000)
    publish(
        {"x/german_collection.tsv.gz": "0\teins\n1\t" + "\0" * 2_000_000, "x/german_queries.dev.small.tsv": "1\tx\n"}
    )
    with pytest.raises(
        UserError, match=r"german_collection\.tsv\.gz:2 is longer than 0 MiB, the most that a line may be"
    ):
        made("mmarco", ["de"])


def test_two_translations_or_none(publish, made):
    mmarco(publish)
    publish({"helsinki/collections/spanish_collection.tsv": "0\tEl primero\n"})
    with pytest.raises(UserError, match="two translations of es here"):
        made("mmarco", ["es"])
    with pytest.raises(UserError, match=r"no <language>_queries\.dev\.small\.tsv in ko"):
        made("mmarco", ["ko"])
    with pytest.raises(UserError, match=r"has no <language>_queries\.dev\.tsv in en"):
        made("mmarco", ["en"], split="dev")


def test_a_collection_that_repeats_an_id(publish, made):
    mmarco(publish, "0\ta\n1\tb\n0\tc\n")
    with pytest.raises(UserError, match="published has the passage '0' in en more than once"):
        made("mmarco", ["en"])
