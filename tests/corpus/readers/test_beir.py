"""The reader of retrieval sets: rows, and the queries and qrels beside them."""

from collections import Counter

import polars as pl

from stages.corpus.readers import beir
from stages.settings.corpus import Source
from stages.shared.codes import Wanted
from tests.corpus.readers.reading import read


def retrieval_set(here):
    folder = here / "beir"
    folder.mkdir()
    lines = {
        "corpus.en": [
            {"_id": "b", "text": "two"},
            {"_id": "a", "title": "T", "text": "one"},
            {"_id": "c", "text": "x"},
        ],
        "corpus.ko": [{"_id": "a", "text": "하나"}, {"_id": "b", "text": "둘"}],
        "queries.en": [{"_id": "q", "text": "ask"}],
    }
    for name, rows in lines.items():
        (folder / f"{name}.jsonl").write_text(pl.DataFrame(rows).write_ndjson())
    (folder / "qrels.tsv").write_text("q\ta\t1\nq\tc\t2\nq\tz\t1\n")
    return {"source": "beir", "path": "beir"}


def test_a_retrieval_set_gives_rows_queries_and_qrels(here):
    settings = retrieval_set(here)
    assert read("line", "id", "title_en", "text_en", "text_ko", **settings) == [
        (1, "a", "T", "one", "하나"),
        (2, "b", "", "two", "둘"),
        (3, "c", "", "x", None),
    ]
    left_out = Counter()
    queries, qrels = beir.judged(Source(**settings), Wanted(["en", "ko"]), left_out)
    assert queries.rows() == [("q", "en", "ask")]
    assert qrels.rows() == [("q", "a", 1), ("q", "c", 2)]
    assert +left_out == {"qrels of passages that are not there": 1}
