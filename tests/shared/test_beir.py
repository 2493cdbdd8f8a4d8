"""Folders in BEIR's layout, with a file a language."""

import gzip
import json

import polars as pl
import pytest

from stages.shared import beir
from stages.shared.codes import Wanted
from stages.shared.errors import UserError
from tests.conftest import ROOT

XQUAD = ROOT.parent / "shared" / "data" / "xquad_r"


def folder(tmp_path, files):
    for name, rows in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        text = rows if isinstance(rows, str) else "".join(json.dumps(r) + "\n" for r in rows)
        file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return tmp_path


TEXTS = {
    "corpus.en.jsonl": [{"_id": "p2", "text": "two"}, {"_id": "p1", "title": "T", "text": "one"}],
    "corpus.ko.jsonl.gz": [{"_id": "p1", "text": "하나"}, {"_id": "p2", "text": "둘"}],
    "queries.ko.jsonl": [{"_id": "q1", "text": "몇"}],
}


def test_parallel_ids_judge_every_language(tmp_path):
    at = folder(
        tmp_path, {**TEXTS, "qrels.tsv": "query-id\tcorpus-id\tscore\r\nq1\tp1\t1\r\nq1\tp2\t0\r\nq9\tp1\t1\r\n"}
    )
    passages, queries, qrels = beir.read(at, Wanted(["en", "ko"]))
    assert passages.rows() == [
        ("p1", "en", "T", "one"),
        ("p1", "ko", "", "하나"),
        ("p2", "en", "", "two"),
        ("p2", "ko", "", "둘"),
    ]
    assert queries.rows() == [("q1", "ko", "몇")]
    assert qrels.rows() == [("q1", "p1", "en", 1), ("q1", "p1", "ko", 1)]


def test_ids_with_a_language_for_a_suffix_judge_that_language(tmp_path):
    files = {
        "corpus.en.jsonl": [{"_id": "p7.en", "text": "seven"}, {"_id": "p8.en", "text": "eight"}],
        "corpus.ko.jsonl": [{"_id": "p7.ko", "text": "일곱"}, {"_id": "p8.ko", "text": "여덟"}],
        "queries.en.jsonl": [{"_id": "q", "text": "how many"}],
        "qrels.tsv": "q\tp7.ko\t2\nq\tp8.en\t1\nq\tp8.ko\t1\nq\tp7.zh\t1\n",
    }
    passages, _, qrels = beir.read(folder(tmp_path, files), Wanted(["en", "ko"]))
    assert passages.select("passage", "lang").rows() == [("p7", "en"), ("p7", "ko"), ("p8", "en"), ("p8", "ko")]
    assert qrels.rows() == [("q", "p7", "ko", 2), ("q", "p8", "en", 1), ("q", "p8", "ko", 1)]


def test_queries_with_a_language_for_a_suffix_are_parallel(tmp_path):
    files = {
        "corpus.en.jsonl": [{"_id": "p", "text": "seven"}],
        "queries.en.jsonl": [{"_id": "q.en", "text": "how many"}],
        "queries.ko.jsonl": [{"_id": "q.ko", "text": "몇"}],
        "qrels.tsv": "q.en\tp\t1\n",
    }
    _, queries, qrels = beir.read(folder(tmp_path, files), Wanted(["en", "ko"]))
    assert queries.select("query", "lang").rows() == [("q", "en"), ("q", "ko")]
    assert qrels.rows() == [("q", "p", "en", 1)]


def test_ids_that_happen_to_end_in_a_language_are_ids(tmp_path):
    """A suffix is one only if every id of the file has it."""
    files = {
        "corpus.en.jsonl": [{"_id": "amazon", "text": "shop"}, {"_id": "amazon.de", "text": "German shop"}],
        "corpus.de.jsonl": [{"_id": "amazon", "text": "Laden"}, {"_id": "amazon.de", "text": "deutscher Laden"}],
        "queries.en.jsonl": [{"_id": "buy.de", "text": "where"}, {"_id": "buy", "text": "how"}],
        "queries.de.jsonl": [{"_id": "buy.de", "text": "wo"}, {"_id": "buy", "text": "wie"}],
        "qrels.tsv": "buy\tamazon\t1\nbuy.de\tamazon.de\t1\n",
    }
    passages, queries, qrels = beir.read(folder(tmp_path, files), Wanted(["en", "de"]))
    both = [("amazon", "de"), ("amazon", "en"), ("amazon.de", "de"), ("amazon.de", "en")]
    assert passages.select("passage", "lang").rows() == both
    assert queries["query"].unique().sort().to_list() == ["buy", "buy.de"]
    assert qrels.select("query", "passage", "lang").rows() == [
        *(("buy", "amazon", lang) for lang in ("de", "en")),
        *(("buy.de", "amazon.de", lang) for lang in ("de", "en")),
    ]


def test_a_suffix_may_be_spelt_as_the_files_name(tmp_path):
    files = {
        "corpus.en_US.jsonl": [{"_id": "p.en_US", "text": "seven"}],
        "corpus.ko_KR.jsonl": [{"_id": "p.ko_KR", "text": "일곱"}, {"_id": "r.ko_KR", "text": "둘"}],
        "queries.ko_KR.jsonl": [{"_id": "q.ko_KR", "text": "몇"}, {"_id": "en_US.ko_KR", "text": "왜"}],
        "qrels.tsv": "q.ko_KR\tp.en_US\t1\nen_US\tr.ko_KR\t1\n",
    }
    passages, _, qrels = beir.read(folder(tmp_path, files), Wanted(["en", "ko"]))
    assert passages.select("passage", "lang").rows() == [("p", "en"), ("p", "ko"), ("r", "ko")]
    assert qrels.select("query", "passage", "lang").rows() == [("en_US", "r", "ko"), ("q", "p", "en")]


def test_qrels_of_four_columns_and_no_header(tmp_path):
    at = folder(tmp_path, {**TEXTS, "qrels.tsv": "q1\t0\tp2\t3\n"})
    assert beir.read(at, Wanted(["en", "ko"]))[2].rows() == [("q1", "p2", "en", 3), ("q1", "p2", "ko", 3)]


def test_one_language_may_go_unnamed(tmp_path):
    files = {
        "corpus.jsonl": [{"_id": "p", "text": "x"}],
        "queries.jsonl": [{"_id": "q", "text": "y"}],
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\tp\t1\n",
    }
    at = folder(tmp_path, files)
    assert [t.height for t in beir.read(at, Wanted(["ko"]))] == [1, 1, 1]
    with pytest.raises(UserError, match=r"none of corpus\.en\.jsonl, corpus\.ko\.jsonl"):
        beir.read(at, Wanted(["en", "ko"]))


def judgement(score):
    return [{"query-id": "q1", "corpus-id": "p1", "score": score}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("qrels.tsv", "h\th\th\nq1\tp1\tyes\n", r"qrels\.tsv:2 is no judgement"),
        ("qrels.tsv", "q1 p1 1\n", r"qrels\.tsv:1 is no judgement"),
        ("qrels.tsv", "q1\tp1\t0.8\n", r"qrels\.tsv:1 is no judgement: its relevance is '0\.8'"),
        ("qrels.tsv", "q1\tp1\tnull\n", r"qrels\.tsv:1 is no judgement: its relevance is 'null'"),
        ("qrels.jsonl", judgement(0.8), r"qrels\.jsonl:1 is no judgement: its relevance is '0\.8'"),
        ("qrels.jsonl", judgement(None), r"qrels\.jsonl:1 is no judgement: its relevance is 'None'"),
        ("qrels.jsonl", judgement(float("nan")), r"qrels\.jsonl:1 is no judgement: its relevance is 'nan'"),
        ("qrels.jsonl", judgement(True), r"qrels\.jsonl:1 is no judgement: its relevance is 'True'"),
        ("qrels.jsonl", [{"query-id": "q1", "corpus-id": "p1"}], r"qrels\.jsonl:1 has no 'score'"),
        ("corpus.en.jsonl", [{"_id": "p1", "text": "a"}, {"_id": "p1", "text": "b"}], r"jsonl:2 repeats the id 'p1'"),
        ("corpus.en.jsonl", [{"_id": "p1"}], r"jsonl:1 has no 'text' \(it has '_id'\)"),
        ("corpus.en.jsonl", [{"docid": "p1", "text": "a"}], r"jsonl:1 has no '_id'"),
        ("corpus.en.jsonl", "{\n", r"corpus\.en\.jsonl:1 is not JSON"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, name, content, message):
    judged = {} if name.startswith("qrels") else {"qrels.tsv": "q1\tp1\t1\n"}
    at = folder(tmp_path, {**TEXTS, **judged, name: content})
    with pytest.raises(UserError, match=message):
        beir.read(at, Wanted(["en", "ko"]))


def test_grades_are_whole_numbers_however_they_are_written(tmp_path):
    parquet(tmp_path, {"qrels/test.parquet": [{"query-id": "q1", "corpus-id": "p1", "score": 2.0}]})
    assert beir.read(folder(tmp_path, TEXTS), Wanted(["en", "ko"]))[2].rows() == [
        ("q1", "p1", "en", 2),
        ("q1", "p1", "ko", 2),
    ]


def test_a_folder_without_the_languages_or_the_qrels(tmp_path):
    at = folder(tmp_path, TEXTS)
    with pytest.raises(UserError, match=r"none of corpus\.de\.jsonl"):
        beir.read(at, Wanted(["de"]))
    with pytest.raises(UserError, match=r"has no qrels\.tsv"):
        beir.read(at, Wanted(["en", "ko"]))
    with pytest.raises(UserError, match="is no folder"):
        beir.read(at / "nowhere", Wanted(["en"]))


def test_a_language_that_the_folder_lacks_is_refused_with_those_it_has(tmp_path):
    at = folder(tmp_path, {**TEXTS, "qrels.tsv": "q1\tp1\t1\n"})
    with pytest.raises(
        UserError, match=r"has no corpus and no queries in de: it has en, ko; name in corpus\.languages"
    ):
        beir.read(at, Wanted(["en", "ko", "de"]))


def test_a_regional_variant_beside_its_language_is_not_taken_for_it(tmp_path):
    files = {f"corpus.{lang}.jsonl": [{"_id": "p", "text": lang}] for lang in ("pt", "pt_BR", "en")}
    at = folder(tmp_path, {**files, "queries.en.jsonl": [{"_id": "q", "text": "x"}], "qrels.tsv": "q\tp\t1\n"})
    wanted = Wanted(["en", "pt-BR"])
    assert beir.read(at, wanted)[0]["text"].to_list() == ["en", "pt_BR"]
    assert wanted.told() == {"pt-BR": "pt_BR"}
    assert beir.read(at, Wanted(["en", "pt-BR"], {"pt-BR": "pt"}))[0]["text"].to_list() == ["en", "pt"]
    (at / "corpus.pt_BR.jsonl").unlink()
    with pytest.raises(UserError, match=r"has no corpus and no queries in pt-PT: it has en, pt; name"):
        beir.read(at, Wanted(["en", "pt-BR", "pt-PT"]))


# ── As MTEB publishes sets ────────────────────────────────────────────────────────────────────────────────────────────


def parquet(tmp_path, files):
    for name, rows in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows).write_parquet(file)
    return tmp_path


def config(lang, text, split="test", judged=(("1", "7"),), prefix=""):
    prefix = prefix or f"{lang}-"
    end = f"{split}-00000-of-00001.parquet"
    return {
        f"{prefix}corpus/{end}": [{"_id": "7", "title": "", "text": text}, {"_id": "8", "title": "T", "text": "x"}],
        f"{prefix}queries/{end}": [{"id": "1", "text": f"{text}?"}],
        f"{prefix}qrels/{end}": [{"query-id": q, "corpus-id": p, "score": 1} for q, p in judged],
    }


def test_configs_of_languages_with_the_same_qrels_are_parallel(tmp_path):
    at = parquet(tmp_path, {**config("ko", "칠"), **config("en", "seven")})
    passages, queries, qrels = beir.read(at, Wanted(["en", "ko"]))
    assert passages.rows()[:2] == [("7", "en", "", "seven"), ("7", "ko", "", "칠")]
    assert queries.rows() == [("1", "en", "seven?"), ("1", "ko", "칠?")]
    assert qrels.rows() == [("1", "7", "en", 1), ("1", "7", "ko", 1)]


def test_configs_of_languages_with_other_qrels_have_ids_of_their_own(tmp_path):
    at = parquet(tmp_path, {**config("ko", "칠"), **config("en", "seven", judged=[("1", "8")])})
    passages, queries, qrels = beir.read(at, Wanted(["en", "ko"]))
    assert [name for name, *_ in passages.rows()] == ["en:7", "en:8", "ko:7", "ko:8"]
    assert queries.rows() == [("en:1", "en", "seven?"), ("ko:1", "ko", "칠?")]
    assert qrels.rows() == [("en:1", "en:8", "en", 1), ("ko:1", "ko:7", "ko", 1)]


@pytest.mark.parametrize("prefix", ["", "kor-", "ko/", "data/ko_KR/"])
def test_a_language_however_it_is_spelt(tmp_path, prefix):
    at = parquet(tmp_path, config("", "칠", prefix=prefix or "./"))
    assert beir.read(at, Wanted(["ko"]))[2].rows() == [("1", "7", "ko", 1)]


def test_a_split_is_chosen(tmp_path):
    at = parquet(tmp_path, {**config("ko", "dev", "dev"), **config("ko", "test", "test")})
    assert beir.read(at, Wanted(["ko"]))[1].rows() == [("1", "ko", "test?")]
    assert beir.read(at, Wanted(["ko"]), "dev")[1].rows() == [("1", "ko", "dev?")]
    with pytest.raises(UserError, match="has no split train: set the benchmark's split to one of dev, test"):
        beir.read(at, Wanted(["ko"]), "train")


def test_queries_of_all_splits_are_those_that_a_split_judges(tmp_path):
    files = {
        "corpus.jsonl": [{"_id": 1, "text": "x"}],
        "queries.jsonl": [{"_id": 10, "text": "y"}, {"_id": 11, "text": "z"}],
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\n10\t1\t1\n",
        "qrels/dev.tsv": "query-id\tcorpus-id\tscore\n11\t1\t1\n",
    }
    at = folder(tmp_path, files)
    assert beir.read(at, Wanted(["en"]))[2].rows() == [("10", "1", "en", 1)]
    assert beir.read(at, Wanted(["en"]), "dev")[2].rows() == [("11", "1", "en", 1)]


def test_qrels_in_the_config_default(tmp_path):
    files = config("", "seven", prefix="./")
    files["data/test-00000-of-00001.parquet"] = files.pop("./qrels/test-00000-of-00001.parquet")
    assert beir.read(parquet(tmp_path, files), Wanted(["en"]))[2].rows() == [("1", "7", "en", 1)]


def test_another_languages_folder_is_not_taken_for_the_only_one(tmp_path):
    at = parquet(tmp_path, config("", "sieben", prefix="de/"))
    with pytest.raises(UserError, match=r"none of corpus\.ko\.jsonl"):
        beir.read(at, Wanted(["ko"]))


def test_a_damaged_parquet_is_told(tmp_path):
    at = parquet(tmp_path, config("en", "seven"))
    (at / "en-corpus/test-00000-of-00001.parquet").write_bytes(b"PAR1 no more PAR1")
    with pytest.raises(UserError, match=r"test-00000-of-00001\.parquet cannot be read .*: is it a whole Parquet file"):
        beir.read(at, Wanted(["en"]))


@pytest.mark.skipif(not XQUAD.is_dir(), reason="../shared/data/xquad_r is not beside this checkout")
def test_xquad_r_has_qrels_in_each_language():
    passages, _, qrels = beir.read(XQUAD, Wanted(["en", "zh"]))
    assert set(passages["lang"]) == {"en", "zh"}
    known = set(passages.select("passage", "lang").rows())
    assert set(qrels.select("passage", "lang").rows()) <= known
    by_query = {lang: set(qrels.filter(lang=lang)["query"]) for lang in ("en", "zh")}
    assert len(by_query["en"]) == len(by_query["zh"]) == 632


def test_qrels_of_another_split_are_no_stand_in(tmp_path):
    files = {"corpus.jsonl": '{"_id": "p", "text": "x"}\n', "queries.jsonl": '{"_id": "q", "text": "y"}\n'}
    made = folder(tmp_path, {**files, "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\tp\t1\n"})
    with pytest.raises(UserError, match="judges the split test alone, not dev"):
        beir.read(made, Wanted(["en"]), "dev")
    assert beir.read(made, Wanted(["en"]), "test")[2].height == 1
