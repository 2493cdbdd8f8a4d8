"""What the tests of contamination share: a benchmark of two queries, and training sets to plant its texts in."""

from pathlib import Path

import polars as pl
import pytest

from stages.schemas.benchmarks import BENCHMARK_PASSAGES, BENCHMARK_QRELS, BENCHMARK_QUERIES
from stages.schemas.trainsets import TRAINING_ROWS, TRAINING_TEXTS
from stages.shared import tables

BUS = "The last tram to the harbour leaves at a quarter past eleven, and on Sundays half an hour earlier than that."
MOSS = "Moss keeps no roots: it drinks through its leaves, so that a roof of slate or a north wall is home enough."
BUS_KO = "항구로 가는 마지막 전차는 열한 시 십오 분에 떠나며, 일요일에는 그보다 삼십 분 일찍 출발한다."
QUESTION = "When does the last tram to the harbour leave on weekdays?"
OTHER = ["Copper pots must be tinned inside.", "A fiddle has four strings.", "Salt is raked in August."]


@pytest.fixture
def study(workspace):
    """A workspace of one recipe and the benchmark `dev` (two queries and passages, English and Korean)."""
    workspace.edit(
        recipes={"one": {"compositions": ["koenen"], "negatives": "window"}},
        merges={},
        benchmarks={"dev": {"source": "beir", "path": "x"}},
        contamination={"near": 0.9, "examples": 3},
    )
    bench(
        "dev",
        {("q1", "en"): QUESTION, ("q1", "ko"): "항구행 막차는 언제 떠나나요?", ("q2", "en"): "Where does moss grow?"},
        {("p1", "en"): BUS, ("p1", "ko"): BUS_KO, ("p2", "en"): MOSS, ("p3", "en"): OTHER[0]},
        [("q1", "p1", "en"), ("q1", "p1", "ko"), ("q2", "p2", "en")],
    )
    return workspace


def bench(name, queries, passages, relevant, by_label=False):
    """Write a benchmark; of passages the title is what comes before a bar."""
    folder = Path("data/benchmarks") / name
    titled = [(*key, *("|" + text).split("|")[-2:]) for key, text in passages.items()]
    asked = [(*key, text) for key, text in queries.items()]
    judged = [(*row, 1) if len(row) == 3 else row for row in relevant]
    for kind, rows, schema in (
        ("queries", asked, BENCHMARK_QUERIES),
        ("passages", titled, BENCHMARK_PASSAGES),
        ("qrels", judged, BENCHMARK_QRELS),
    ):
        tables.write(pl.DataFrame(rows, schema, orient="row"), folder / f"{kind}.parquet", schema)
    tables.write_json({"by_label": by_label}, folder / "about.json")


def train(name, *triples):
    """Write a training set of (query, positive, negatives)."""
    texts = sorted({text for query, positive, negatives in triples for text in (query, positive, *negatives)})
    rows = [
        ("koenen", texts.index(q), texts.index(p), [texts.index(n) for n in negatives], [0] * (1 + len(negatives)))
        for q, p, negatives in triples
    ]
    folder = Path("data/trainsets") / name
    tables.write(pl.DataFrame({"text": texts}), folder / "texts.parquet", TRAINING_TEXTS)
    table = pl.DataFrame(rows, TRAINING_ROWS, orient="row")
    tables.write(table, folder / "rows.parquet", TRAINING_ROWS)
