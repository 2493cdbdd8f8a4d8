"""Triples from topics: a query, a passage that answers it and one that does not, in every language."""

import json
import re

import pytest

from stages.schemas.benchmarks import BENCHMARK_QRELS
from stages.schemas.trainsets import TRAINING_ROWS, TRAINING_TEXTS
from stages.schemas.triples import TRIPLES
from stages.shared import collection, tables
from tests.conftest import prompts_of
from tests.fakes.endpoint import Endpoint
from tests.synthesize.writing import TOPICS, replies, topical


def test_a_triple_is_parallel_and_judged(workspace, topics):
    topics(TOPICS)
    with Endpoint() as endpoint:
        topical(workspace, endpoint, per_topic=2)
    names = [f"mine-{t['id']}-{n}" for t in TOPICS for n in (1, 2)]
    passages, queries = workspace.written("passages"), workspace.written("queries")
    assert queries.select("query", "lang").rows() == [(f"{n}#query", lang) for n in names for lang in ("en", "ko")]
    assert passages.select("passage", "lang").rows() == [
        (f"{name}#{kind}", lang) for name in names for kind in ("negative", "positive") for lang in ("en", "ko")
    ]
    assert workspace.written("qrels").rows() == [
        (f"{name}#query", f"{name}#{kind}", relevance)
        for name in names
        for kind, relevance in (("negative", 0), ("positive", 1))
    ]
    # The texts are the model's, in their places, and the Korean ones are the translations of the English ones.
    found = {(name, lang): text for name, lang, text in queries.iter_rows()}
    found |= {(name, lang): text for name, lang, text in passages.select("passage", "lang", "text").iter_rows()}
    asked = replies(endpoint)
    assert len(asked) == 24
    for prompt, reply in asked.items():
        if "hard_negative" not in reply:
            continue
        english = [reply["query"], reply["positive"], reply["hard_negative"]]
        (name,) = [n for n in names if found[f"{n}#query", "en"] == reply["query"]]
        kinds = [f"{name}#{kind}" for kind in ("query", "positive", "negative")]
        assert [found[kind, "en"] for kind in kinds] == english
        (translated,) = [r["texts"] for p, r in asked.items() if p.endswith(json.dumps(english))]
        assert [found[kind, "ko"] for kind in kinds] == translated
        topic, number = name.split("-")[1:]
        assert f"about one topic: Topic {topic}." in prompt
        assert f"(this is number {number} on the topic" in prompt


def test_both_passages_of_a_triple_are_in_one_split_and_topics_in_all(workspace, topics):
    topics(TOPICS[:2])
    with Endpoint() as endpoint:
        topical(workspace, endpoint, per_topic=20)
    passages = workspace.written("passages")
    splits = dict(passages.select("passage", "split").iter_rows())
    assert all(splits[name] == splits[name.replace("#negative", "#positive")] for name in splits)
    for topic in ("0", "1"):
        own = [splits[f"mine-{topic}-{number}#positive"] for number in range(1, 21)]
        assert [own.count(split) for split in ("train", "dev", "test")] == [12, 3, 5]
    assert set(passages["stratum"]) == {"mine-0", "mine-1"}


def drawn(workspace, endpoint, topics, **changes):
    """The prompts of triples under a cache of its own, and the bytes of what came of them."""
    endpoint.reset()
    (workspace.path / "llm.sqlite").unlink(missing_ok=True)
    topical(workspace, endpoint, per_topic=4, **changes)
    files = {f.name: f.read_bytes() for f in (workspace.path / "data/synthetic").iterdir()}
    return [prompt for prompt in prompts_of(endpoint) if "hard_negative" in prompt], files


def test_what_a_triple_is_to_be_like_is_drawn_by_seed(workspace, topics):
    topics(TOPICS)
    with Endpoint() as endpoint:
        one = drawn(workspace, endpoint, topics)
        assert drawn(workspace, endpoint, topics) == one
        other, _ = drawn(workspace, endpoint, topics, seed=2)
    assert other != one[0]
    assert len(one[0]) == 24
    # Every knob has all of its values, whatever the others have.
    knobs = [r"Kind: (.+?)\. ", r"Difficulty: (.+?)\. ", r"Register: (.+?)\.\n", r"a passage of (.+?) that"]
    values = [tuple(re.search(knob, prompt)[1] for knob in knobs) for prompt in one[0]]
    assert [len(set(column)) for column in zip(*values, strict=True)] == [4, 3, 3, 3]
    assert len({kind[1:] for kind in values}) > 9


def test_further_triples_leave_those_before_them_as_they_are(workspace, topics):
    topics(TOPICS)
    with Endpoint() as endpoint:
        topical(workspace, endpoint, per_topic=1)
        before = workspace.written("passages")
        endpoint.reset()
        topical(workspace, endpoint, per_topic=2)
        assert len(endpoint.requests) == 6 * 2
    after = workspace.written("passages").drop("split")
    assert after.join(before, on=["passage", "lang", "text"], how="semi").equals(before.drop("split"))


def test_a_triple_in_one_language_needs_no_translation(workspace, topics):
    topics(TOPICS)
    recipes = {"a": {"compositions": ["kokoko"], "negatives": "window"}}
    with Endpoint() as endpoint:
        topical(workspace, endpoint, languages=["ko"], recipes=recipes, merges={})
        assert len(endpoint.requests) == 6
    assert set(workspace.written("passages")["lang"]) == {"ko"}
    assert all("in Korean, about one topic: 주제" in prompt for prompt in prompts_of(endpoint))


@pytest.mark.slow
def test_a_collection_that_was_written_alone_is_mined_and_becomes_training_sets(workspace, topics, training):
    """From topics to training sets: what was written as a hard negative is one, and no stage takes it for an answer."""
    topics(TOPICS)
    tiny = {"vocabulary": 400, "dimension": 8, "steps": 2, "batch_size": 16}
    strategy = {"k": 3, "direction": "each", "rank_min": 1, "rank_max": 20, "relative_margin": None, "written": True}
    with Endpoint() as endpoint:
        workspace.edit(**{f"base__static__{key}": value for key, value in tiny.items()}, candidates__depth=20)
        workspace.edit(recipes__switched=...)
        workspace.edit(**{f"negatives__window__{key}": value for key, value in strategy.items()})
        topical(workspace, endpoint, per_topic=5)
    for stage in ("collect", "base", "candidates", "negatives", "triples", "trainsets"):
        workspace.run(stage)
    for split in ("dev", "test"):
        workspace.run("benchmarks", split)

    stored = collection.read(["en", "ko"])
    train = sorted(set(stored.queries.filter(split="train")["query"]))
    assert len(train) == 30 - 7 - 4  # without test's and dev's shares
    counts = json.loads((workspace.path / "metrics/negatives.json").read_text())["window"]["directions"]["ko-en"]
    assert (counts["queries"], counts["written"], counts["short"]) == (19, 19, 0)
    for name in ("enenen", "koenko"):
        triples = tables.read(f"data/triples/window/{name}.parquet", TRIPLES)
        assert triples["query"].to_list() == train
        for query, positive, negatives in triples.iter_rows():
            triple = query.removesuffix("#query")
            assert positive == f"{triple}#positive"
            assert negatives[0] == f"{triple}#negative"
            assert len(set(negatives)) == 3
            assert positive not in negatives
    texts = tables.read("data/trainsets/koenko/texts.parquet", TRAINING_TEXTS)["text"]
    rows = tables.read("data/trainsets/koenko/rows.parquet", TRAINING_ROWS)
    by_lang = {
        lang: set(stored.passages.filter(lang=lang)["text"]) | set(stored.queries.filter(lang=lang)["text"])
        for lang in ("en", "ko")
    }
    assert {texts[n] for n in rows["query"]} <= by_lang["ko"]
    assert {texts[n] for n in rows["positive"]} <= by_lang["en"]
    assert {texts[n] for n in rows["negatives"].explode()} <= by_lang["ko"]
    for split in ("dev", "test"):
        qrels = tables.read(f"data/benchmarks/{split}/qrels.parquet", BENCHMARK_QRELS)
        assert len(qrels) > 0
        assert all(passage == query.replace("#query", "#positive") for query, passage, *_ in qrels.iter_rows())
        assert not set(qrels["query"]) & set(train)
