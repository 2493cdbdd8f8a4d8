"""triples: ids by composition."""

import polars as pl
import scipy.stats

from stages import triples
from stages.schemas.negatives import NEGATIVES
from stages.schemas.triples import TRIPLES
from stages.shared import collection, tables
from stages.shared.compositions import compositions


def mined(workspace):
    """Negatives whose names tell the direction they were mined in: 'n|ko-en|q1|0'."""
    directions = [(q, c) for q in ("en", "ko") for c in ("en", "ko")]
    rows = [
        (query, q, c, [f"n|{q}-{c}|{query}|{i}" for i in range(2)])
        for query in ("q1", "q2")
        for q, c in directions
        if (query, q) != ("q2", "ko")
    ]
    table = pl.DataFrame(rows, schema=NEGATIVES, orient="row")
    tables.write(table, "data/negatives/window.parquet", NEGATIVES)


def test_negatives_are_those_mined_where_the_query_language_asks_the_negatives(workspace):
    workspace.corpus([("a", "train"), ("b", "train"), ("c", "train")], [("q1", ["a", "b"]), ("q2", "c"), ("q3", "a")])
    mined(workspace)
    workspace.run("triples")
    folder = workspace.path / "data/triples/window"
    assert sorted(f.stem for f in folder.iterdir()) == sorted(c.name for c in compositions(["en", "ko"]))
    for c in compositions(["en", "ko"]):
        found = tables.read(folder / f"{c.name}.parquet", TRIPLES).rows()
        own = [[f"n|{c.query}-{c.negative}|{q}|{i}" for i in range(2)] for q in ("q1", "q1", "q2")]
        wanted = [("q1", "a", own[0]), ("q1", "b", own[1]), ("q2", "c", own[2])]
        assert found == (wanted if c.query == "en" else wanted[:2])
    # The ids of koenen and kokoen are the same, and are on disk once.
    assert len({f.stat().st_ino for f in folder.iterdir()}) == 4


def labelled(workspace, entries, queries, judged=()):
    """A knowledge base: `entries` and training `queries` by label, both numbers; `judged`: queries with passages."""
    rows = [(f"{label}{i}", "en", "", f"{label}{i}", label, "train") for label, n in entries.items() for i in range(n)]
    asked = [(f"q{label}{i:04}", label) for label, count in queries.items() for i in range(count)]
    labels = [("passage", name, label, "labelled", "train") for name, _, _, _, label, _ in rows]
    labels += [("query", name, label, "labelled", "train") for name, label in asked]
    texts = [(name, lang, name) for name in [*(name for name, _ in asked), *judged] for lang in ("en", "ko")]
    qrels = [(query, passage, 1) for query, passages in dict(judged).items() for passage in passages]
    extra = sorted({passage for _, passage, _ in qrels} - {name for name, *_ in rows})
    rows += [(name, "en", "", name, "", "train") for name in extra]
    workspace.tables("corpus", rows, texts, qrels, labelled=labels, labels=[(label, "") for label in entries])
    workspace.tables("synthetic")
    return dict(asked)


def drawn(count, seed=1):
    return triples.positives(collection.read(["en", "ko"]), count, seed)


def test_a_labelled_query_gets_one_entry_of_its_label_each_as_often(workspace):
    asked = labelled(workspace, {"a": 8, "b": 3, "c": 1}, {"a": 2000, "b": 900, "c": 5})
    found = drawn(1)
    assert found["query"].sort().to_list() == sorted(asked)
    assert all(asked[query] == positive[0] for query, positive in found.iter_rows())
    for label, size in (("a", 8), ("b", 3)):
        counts = found.filter(pl.col("positive").str.starts_with(label))["positive"].value_counts()["count"]
        assert len(counts) == size
        assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_what_a_query_gets_depends_on_its_id_and_the_seed_alone(workspace):
    labelled(workspace, {"a": 8, "b": 3}, {"a": 200, "b": 20})
    first = drawn(1).sort("query")
    assert not drawn(1, seed=2).sort("query").equals(first)
    labelled(workspace, {"a": 8, "b": 5}, {"b": 3, "a": 100})
    fewer = drawn(1).sort("query").filter(pl.col("query").str.starts_with("qa"))
    assert fewer.equals(first.join(fewer, on="query", how="semi"))


def test_several_entries_differ_and_null_takes_all(workspace):
    labelled(workspace, {"a": 6, "b": 2}, {"a": 50, "b": 4})
    for count, of_a, of_b in ((2, 2, 2), (4, 4, 2), (100, 6, 2), (None, 6, 2)):
        found = drawn(count)
        assert found.unique().height == found.height == 50 * of_a + 4 * of_b


def test_of_a_judged_query_so_many_passages_are_drawn(workspace):
    passages = [f"p{i}" for i in range(6)]
    judged = {f"j{i:03}": passages[: 1 + i % 6] for i in range(600)}
    labelled(workspace, {"a": 2}, {"a": 3}, judged)
    every = drawn(None)
    assert every.filter(pl.col("query").str.starts_with("j")).height == sum(map(len, judged.values()))
    one = drawn(1)
    assert sorted(one["query"]) == sorted([*judged, "qa0000", "qa0001", "qa0002"])
    assert one.join(every, on=["query", "positive"], how="semi").height == one.height
    counts = one.filter(pl.col("query").is_in([q for q, found in judged.items() if len(found) == 6]))
    assert scipy.stats.chisquare(counts["positive"].value_counts()["count"]).pvalue > 1e-3
    two = drawn(2)
    assert one.join(two, on=["query", "positive"], how="semi").height == one.height
    assert two["query"].value_counts()["count"].max() == 2


def test_all_passages_of_a_query_s_groups_are_drawn_as_often(workspace):
    """A query that is judged to have one of a label and one of none, has all of both."""
    judged = {f"j{i:03}": ["a1", "free"] for i in range(600)}
    labelled(workspace, {"a": 3, "b": 2}, {"b": 3}, judged)
    own = pl.col("query").str.starts_with("j")
    assert drawn(None).filter(own).sort("query", "positive").rows() == [
        (query, name) for query in judged for name in ("a0", "a1", "a2", "free")
    ]
    found = drawn(1).filter(own)
    assert found["query"].sort().to_list() == sorted(judged)
    counts = found["positive"].value_counts()["count"]
    assert len(counts) == 4
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_every_composition_and_strategy_has_the_same_positives(workspace):
    asked = labelled(workspace, {"a": 7, "b": 7}, {"a": 9, "b": 9})
    pairs = [(q, c) for q in ("en", "ko") for c in ("en", "ko")]
    rows = [(query, q, c, ["a0"]) for query in asked for q, c in pairs]
    table = pl.DataFrame(rows, schema=NEGATIVES, orient="row")
    strategies = {name: {"k": 1, "random": 1} for name in ("one", "two")}
    for name in strategies:
        tables.write(table, f"data/negatives/{name}.parquet", NEGATIVES)
    recipe = {"compositions": ["koenen"], "negatives": "one"}
    workspace.edit(negatives=strategies, recipes={"one": recipe}, merges={}, triples__positives=1).run("triples")
    found = {
        tuple(tables.read(file, TRIPLES).select("query", "positive").rows())
        for name in strategies
        for file in (workspace.path / "data/triples" / name).iterdir()
    }
    assert len(found) == 1
    assert [query for query, _ in found.pop()] == sorted(asked)
