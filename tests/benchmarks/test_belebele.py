"""Belebele: passages once, questions parallel, task names against MTEB's own reader, which puts the corpus first."""

import pytest

from stages.shared.errors import UserError
from stages.shared.tasks import task_groups

CODES = {"en": "eng_Latn", "ko": "kor_Hang"}


def rows(lang):
    """Two passages, the first with two questions; one question has the same words as another."""
    said = [("l1", 1, "a?"), ("l1", 2, "b?"), ("l2", 1, "c?")]
    return [
        {
            "link": link,
            "question_number": number,
            "flores_passage": f"{lang} {link}",
            "question": f"{lang} {text}",
            "mc_answer1": "no",
            "dialect": CODES.get(lang, lang),
        }
        for link, number, text in said
    ]


EXPECTED = (
    [(link, lang, "", f"{lang} {link}") for link in ("l1", "l2") for lang in ("en", "ko")],
    [(q, lang, f"{lang} {t}?") for q, t in (("l1#1", "a"), ("l1#2", "b"), ("l2#1", "c")) for lang in ("en", "ko")],
    [(q, p, lang, 1) for q, p in (("l1#1", "l1"), ("l1#2", "l1"), ("l2#1", "l2")) for lang in ("en", "ko")],
    [],
)


@pytest.mark.parametrize("name", ["data/{}.jsonl", "Belebele/{}.jsonl.gz", "{}/test-00000-of-00001.parquet"])
def test_passages_are_there_once_and_relevant_in_each_language(publish, made, name):
    publish({name.format(CODES[lang]): rows(lang) for lang in CODES})
    assert made("belebele") == EXPECTED


def test_a_language_that_is_not_there(publish, made):
    publish({"data/eng_Latn.jsonl": rows("en")})
    with pytest.raises(UserError, match=r"published has no data/<FLORES code>\.jsonl in de \(it has eng_Latn\)"):
        made("belebele", ["de"])
    with pytest.raises(
        UserError, match=r"benchmarks\.x: published has nothing in ko: it has eng_Latn; name in benchma"
    ):
        made("belebele")


def test_norwegian_is_found_where_it_can_only_be_one(publish, made, caplog):
    caplog.set_level("INFO")
    publish({f"data/{code}.jsonl": rows(code) for code in ("eng_Latn", "nob_Latn")})
    assert {lang for _, lang, *_ in made("belebele", ["en", "no"]).passages} == {"en", "no"}
    assert "languages as x spells them: en is eng_Latn, no is nob_Latn" in caplog.text
    publish({"data/nno_Latn.jsonl": rows("nno_Latn")})
    with pytest.raises(
        UserError, match=r"published has nob_Latn, nno_Latn, each of which may be no: say in benchmarks\.x"
    ):
        made("belebele", ["en", "no"])
    found = made("belebele", ["en", "no"], codes={"no": "nno_Latn"})
    assert ("l1", "no", "", "nno_Latn l1") in found.passages


def test_a_row_that_lacks_something_is_named(publish, made):
    publish({"data/eng_Latn.jsonl": [*rows("en"), {"link": "l3", "question_number": 1, "question": "d?"}]})
    with pytest.raises(UserError, match=r"eng_Latn\.jsonl:4 has no 'flores_passage'"):
        made("belebele", ["en"])


def test_a_question_without_words_is_left_out(publish, made):
    korean = rows("ko")
    korean[1]["question"] = None
    publish({"data/eng_Latn.jsonl": rows("en"), "data/kor_Hang.jsonl": korean})
    found = made("belebele")
    assert [lang for name, lang, _ in found.queries if name == "l1#2"] == ["en"]
    assert found.qrels == EXPECTED[2]


def test_a_question_twice_is_refused(publish, made):
    publish({"data/eng_Latn.jsonl": [*rows("en"), rows("en")[0]]})
    with pytest.raises(UserError, match=r"has the query 'l1#1' in en more than once"):
        made("belebele", ["en"])


@pytest.mark.slow
def test_a_task_is_the_subset_of_mteb_whose_corpus_comes_first(publish, made, monkeypatch):
    """`kor_Hang-eng_Latn` asks in English and searches Korean: our task en-ko."""
    module = pytest.importorskip("mteb.tasks.retrieval.multilingual.belebele_retrieval", reason="mteb is not installed")
    published = {CODES[lang]: {"test": rows(lang)} for lang in CODES}
    monkeypatch.setattr(module, "load_dataset", lambda name, **_: published[name])
    theirs = module.BelebeleRetrieval()
    theirs.hf_subsets = ["kor_Hang-eng_Latn", "eng_Latn-kor_Hang", "kor_Hang-kor_Hang", "eng_Latn-eng_Latn"]
    theirs.load_data()
    publish({f"data/{code}.jsonl": rows(lang) for lang, code in CODES.items()})
    found = made("belebele")
    spoken = {code: lang for lang, code in CODES.items()}
    seen = set()
    for subset in theirs.hf_subsets:
        corpus_language, query_language = (spoken[code] for code in subset.split("-"))
        seen.add(task := f"{query_language}-{corpus_language}")
        queries = {name: text for name, lang, text in found.queries if lang == query_language}
        passages = {name: text for name, lang, _, text in found.passages if lang == corpus_language}
        ours = {(queries[q], passages[p]) for q, p, lang, _ in found.qrels if lang == corpus_language}
        their_queries, their_corpus = theirs.queries[subset]["test"], theirs.corpus[subset]["test"]
        assert ours == {
            (their_queries[q], their_corpus[p]["text"])
            for q, judged in theirs.relevant_docs[subset]["test"].items()
            for p in judged
        }, task
    assert seen == {"en-ko", "ko-en", "ko-ko", "en-en"}
    assert seen < set(task_groups(["en", "ko"]))
