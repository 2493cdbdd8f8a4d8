"""Taxonomies: the shipped one, and what is told of those that cannot be used."""

import pytest

from stages.shared.errors import UserError
from stages.synthesize import taxonomy
from tests.synthesize.writing import REPLIES, refused


def test_the_shipped_taxonomy_is_read_in_korean_and_in_english():
    topics = taxonomy.read("kdc")
    assert len({topic.id for topic in topics}) == len(topics) > 90
    by_id = {topic.id: topic for topic in topics}
    assert by_id["010"].name("en") == "Books and bibliography (General works)"
    assert by_id["010"].name("ko") == "도서학, 서지학 (총류)"
    assert by_id["010"].name("hi-Latn") == by_id["010"].name("en")
    for topic in topics:
        assert set(topic.topic) == set(topic.group) == {"en", "ko"}
        assert topic.topic["ko"] != topic.topic["en"]


def test_a_topic_may_be_one_text_for_all_languages(topics):
    topics([{"id": 7, "topic": "Bees"}, {"id": "x", "topic": {"ko": "벌"}, "class": "Insects"}])
    assert [topic.name(lang) for topic in taxonomy.read("mine") for lang in ("en", "ko")] == [
        "Bees",
        "Bees",
        "벌 (Insects)",
        "벌 (Insects)",
    ]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([], ["mine.jsonl has no topics"]),
        ([{"topic": "x"}], ["mine.jsonl:1 has no 'id'"]),
        ([{"id": "", "topic": "x"}], ["mine.jsonl:1: the id '' is empty"]),
        ([{"id": "1", "topic": "x"}, {"id": "1", "topic": "y"}], ["mine.jsonl:2: the id '1'", "comes twice"]),
        ([{"id": "1"}], ["mine.jsonl:1: 'topic' holds None: write a text"]),
        ([{"id": "1", "topic": {}}], ["mine.jsonl:1: 'topic' holds {}"]),
        ([{"id": "1", "topic": {"en": " "}}], ["mine.jsonl:1: 'topic' holds {'en': ' '}"]),
        ([{"id": "1", "topic": ["x"]}], ["mine.jsonl:1: 'topic' holds ['x']"]),
        ([{"id": "1", "topic": "x", "class": 3}], ["mine.jsonl:1: 'class' holds 3"]),
    ],
)
def test_a_taxonomy_that_cannot_be_used_is_told(workspace, topics, rows, parts):
    topics(rows)
    workspace.corpus([("a", "train")])
    workspace.edit(synthesize__topics__per_topic=1, llm__recorded=str(REPLIES))
    text = refused(workspace)
    for part in parts:
        assert part in text, text


def test_a_taxonomy_that_is_not_there_is_told(workspace):
    workspace.corpus([("a", "train")])
    workspace.edit(synthesize__topics__taxonomy="ddc", synthesize__topics__per_topic=1, llm__recorded=str(REPLIES))
    assert "synthesize.topics.taxonomy is 'ddc', but taxonomies/ has kdc: name one" in refused(workspace)
    with pytest.raises(UserError, match=r"taxonomy is '\.\./taxonomies/kdc', but taxonomies/ has kdc"):
        taxonomy.read("../taxonomies/kdc")
