"""Utterances by intent: the layouts of MASSIVE, MTOP, Hinglish-TOP and one's own."""

import pytest

from stages.shared.errors import UserError
from tests.benchmarks.conftest import labels


def massive(lang):
    said = [("0", "train", "alarm_set"), ("1", "train", "play"), ("2", "dev", "play"), ("3", "test", "alarm_set")]
    return [
        {
            "id": i,
            "locale": lang,
            "partition": part,
            "intent": intent,
            "scenario": "s",
            "utt": f"{lang} {i}",
            "annot_utt": "",
        }
        for i, part, intent in said
    ]


def test_massive_finds_what_has_the_same_intent(publish, made):
    publish({f"1.1/data/{lang}.jsonl": massive(lang) for lang in ("en-US", "ko-KR", "km-KH")})
    found = made("massive")
    assert found.passages == [
        ("0", "en", "", "en-US 0"),
        ("0", "ko", "", "ko-KR 0"),
        ("1", "en", "", "en-US 1"),
        ("1", "ko", "", "ko-KR 1"),
    ]
    assert found.queries == [("3", "en", "en-US 3"), ("3", "ko", "ko-KR 3")]
    assert found.qrels == [("3", "0", "en", 1), ("3", "0", "ko", 1)]
    assert labels("x") == [("passage", "0", "alarm_set"), ("passage", "1", "play"), ("query", "3", "alarm_set")]
    assert made("massive", split="dev").qrels == [("2", "1", "en", 1), ("2", "1", "ko", 1)]
    with pytest.raises(UserError, match="no utterance of dove in en, ko"):
        made("massive", split="dove")


def mteb(lang, labels):
    return [
        {"id": str(i), "label": 0, "label_text": name, "text": f"{lang} {i}", "lang": lang}
        for i, name in enumerate(labels)
    ]


@pytest.mark.parametrize("end", ["train.jsonl.gz", "train-00000-of-00001.parquet"])
def test_mtebs_copies(publish, made, end):
    for lang in ("en", "ko"):
        publish(
            {f"{lang}/{end}": mteb(lang, ["a", "b", "a"]), f"{lang}/{end.replace('train', 'test')}": mteb(lang, ["b"])}
        )
    found = made("massive")
    assert found.qrels == [("0", "1", "en", 1), ("0", "1", "ko", 1)]
    assert found.queries == [("0", "en", "en 0"), ("0", "ko", "ko 0")]


def test_ids_that_are_not_parallel_are_each_languages_own(publish, made):
    for lang, test in (("en", ["a"]), ("ko", ["b"])):
        publish({f"{lang}/train.jsonl": mteb(lang, ["a", "b"]), f"{lang}/test.jsonl": mteb(lang, test)})
    found = made("mtop")
    assert found.queries == [("en:0", "en", "en 0"), ("ko:0", "ko", "ko 0")]
    assert found.qrels == [
        ("en:0", "en:0", "en", 1),
        ("en:0", "ko:0", "ko", 1),
        ("ko:0", "en:1", "en", 1),
        ("ko:0", "ko:1", "ko", 1),
    ]


def mtop(name, intent, text):
    return "\t".join([name, intent, "0:3:SL:X", text, "alarm", "en_XX", "[IN:X ]", '{"tokens": ["a"]}']) + "\n"


def test_mtops_release(publish, made):
    publish(
        {
            "mtop/en/train.txt": mtop("7", "IN:SET", 'the  "one') + mtop("8", "IN:GET", "two"),
            "mtop/en/eval.txt": mtop("9", "IN:GET", "three"),
            "mtop/en/test.txt": mtop("10", "IN:SET", "four"),
            "mtop/de/train.txt": mtop("7", "IN:SET", "eins"),
            "mtop/de/test.txt": mtop("10", "IN:SET", "vier"),
        }
    )
    found = made("mtop", ["de", "en"])
    assert found.passages == [("7", "de", "", "eins"), ("7", "en", "", 'the "one'), ("8", "en", "", "two")]
    assert found.qrels == [("10", "7", "de", 1), ("10", "7", "en", 1)]
    assert made("mtop", ["en"], split="dev").queries == [("9", "en", "three")]
    publish({"mtop/en/test.txt": "10\tIN:SET\n"})
    with pytest.raises(UserError, match=r"test\.txt:1 is no utterance of MTOP"):
        made("mtop", ["en"])


def top(en, cs, intent):
    return f"{en}\t{cs}\t[IN:{intent} {en} ]\t[IN:{intent} {cs} ]\talarm\n"


HEAD = "en_query\tcs_query\ten_parse\tcs_parse\tdomain\n"


def test_hinglish_top_has_code_switched_queries(publish, made):
    folder = "Dataset/Human Annotated Data/"
    publish(
        {
            folder + "train.tsv": HEAD + top('set "it', "it set karo", "SET") + top("stop", "roko", "STOP"),
            folder + "test.tsv": HEAD + top("stop now", "ab roko", "STOP"),
            folder + "validation.tsv": HEAD + top("set two", "do set karo", "SET"),
        }
    )
    found = made("hinglish-top", ["en", "hi-Latn"])
    assert found.passages == [
        ("train-0", "en", "", 'set "it'),
        ("train-0", "hi-Latn", "", "it set karo"),
        ("train-1", "en", "", "stop"),
        ("train-1", "hi-Latn", "", "roko"),
    ]
    assert found.queries == [("test-0", "en", "stop now"), ("test-0", "hi-Latn", "ab roko")]
    assert found.qrels == [("test-0", "train-1", "en", 1), ("test-0", "train-1", "hi-Latn", 1)]
    assert made("hinglish-top", ["en"], split="validation").qrels == [("validation-0", "train-0", "en", 1)]


def test_ones_own_utterances(publish, made):
    publish(
        {
            "index.en.jsonl": [{"say": "a", "kind": "x"}, {"say": "b", "kind": "y"}],
            "index.ko.csv": 'say,kind\n"가, 나",x\n',
            "queries.ko.tsv": "say\tkind\n다\tx\n\ty\n",
        }
    )
    found = made("intents", columns={"text": "say", "label": "kind"})
    assert found.passages == [("0", "en", "", "a"), ("0", "ko", "", "가, 나"), ("1", "en", "", "b")]
    assert found.queries == [("0", "ko", "다")]
    assert found.qrels == [("0", "0", "en", 1), ("0", "0", "ko", 1)]
    with pytest.raises(UserError, match=r"has no 'who'"):
        made("intents", columns={"text": "who", "label": "kind"})


def test_an_utterance_of_csv_that_is_torn_is_told(publish, made):
    publish({"index.en.csv": "say,kind\na, b,x\n", "queries.en.csv": "say,kind\na,x\n"})
    with pytest.raises(UserError, match=r"index\.en\.csv:2 has 3 fields, but the header 2: mend the row's delimiters"):
        made("intents", ["en"], columns={"text": "say", "label": "kind"})


def test_a_sample_keeps_one_of_each_intent(publish, made):
    publish(
        {
            "index.en.jsonl": [{"t": f"i{i}", "l": str(i % 3), "n": f"p{i}"} for i in range(60)],
            "queries.en.jsonl": [{"t": f"q{i}", "l": str(i % 3), "n": f"q{i}"} for i in range(6)],
        }
    )
    columns = {"text": "t", "label": "l", "id": "n"}
    found = made("intents", ["en"], columns=columns, passages=2)
    assert len(found.passages) == 3
    assert len({int(p[1:]) % 3 for p, *_ in found.passages}) == 3
    assert len(found.qrels) == 6
    kept = [p for p, *_ in found.passages]
    asked = [q for q, *_ in found.queries]
    assert labels("x") == [
        *(("passage", p, str(int(p[1:]) % 3)) for p in kept),
        *(("query", q, str(int(q[1:]) % 3)) for q in asked),
    ]
    assert len(made("intents", ["en"], columns=columns, passages=20).passages) == 20


def test_labels_are_of_what_is_kept_though_passages_and_queries_share_ids(publish, made):
    publish(
        {
            "index.en.jsonl": [{"t": f"i{i}", "l": "x"} for i in range(9)],
            "queries.en.jsonl": [{"t": f"q{i}", "l": "x"} for i in range(9)] + [{"t": "q9", "l": "unseen"}],
        }
    )
    found = made("intents", ["en"], columns={"text": "t", "label": "l"}, passages=2, queries=3)
    wanted = [("passage", p, "x") for p, *_ in found.passages] + [("query", q, "x") for q, *_ in found.queries]
    assert len(wanted) == 5
    assert labels("x") == wanted
