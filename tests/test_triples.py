"""triples: ids by composition."""

import polars as pl

from stages.shared import tables
from stages.shared.languages import compositions


def mined(workspace):
    """Negatives whose names tell the direction they were mined in: 'n|ko-en|q1|0'."""
    directions = [(q, c) for q in ("en", "ko") for c in ("en", "ko")]
    rows = [
        (query, q, c, [f"n|{q}-{c}|{query}|{i}" for i in range(2)])
        for query in ("q1", "q2")
        for q, c in directions
        if (query, q) != ("q2", "ko")
    ]
    table = pl.DataFrame(rows, schema=tables.NEGATIVES, orient="row")
    tables.write(table, "data/negatives/window.parquet", tables.NEGATIVES)


def test_negatives_are_those_mined_where_the_query_language_asks_the_negatives(workspace):
    workspace.corpus([("a", "train"), ("b", "train"), ("c", "train")], [("q1", ["a", "b"]), ("q2", "c"), ("q3", "a")])
    mined(workspace)
    workspace.run("triples")
    folder = workspace.path / "data/triples/window"
    assert sorted(f.stem for f in folder.iterdir()) == sorted(c.name for c in compositions(["en", "ko"]))
    for c in compositions(["en", "ko"]):
        found = tables.read(folder / f"{c.name}.parquet", tables.TRIPLES).rows()
        own = [[f"n|{c.query}-{c.negative}|{q}|{i}" for i in range(2)] for q in ("q1", "q1", "q2")]
        wanted = [("q1", "a", own[0]), ("q1", "b", own[1]), ("q2", "c", own[2])]
        assert found == (wanted if c.query == "en" else wanted[:2])
