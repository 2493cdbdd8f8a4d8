"""trainsets: the right language in each slot, texts once, groups beside them."""

import polars as pl
import pytest

from stages.shared import tables
from stages.shared.errors import UserError
from stages.shared.languages import composition, compositions

PASSAGES = ["a", "b", "c", "d"]
TRIPLES = [("q1", "a", ["b", "d"]), ("q1", "c", ["d", "b"]), ("q2", "b", ["a", "c"])]


def prepared(workspace, hybrid=None, **recipes):
    workspace.corpus([(p, "train") for p in PASSAGES], [("q1", ["a", "c"]), ("q2", "b")])
    table = pl.DataFrame(TRIPLES, schema=tables.TRIPLES, orient="row")
    for c in compositions(["en", "ko"]):
        tables.write(table, f"data/triples/window/{c.name}.parquet", tables.TRIPLES)
    chosen = {name: {"compositions": found, "negatives": "window", "hybrid": hybrid} for name, found in recipes.items()}
    workspace.edit(recipes=chosen, merges={})


def read(name):
    texts = tables.read(f"data/trainsets/{name}/texts.parquet", tables.TEXTS)["text"].to_list()
    return texts, tables.read(f"data/trainsets/{name}/rows.parquet", tables.TRAINING_ROWS)


def test_every_slot_is_in_its_language(workspace):
    every = [c.name for c in compositions(["en", "ko"])]
    prepared(workspace, **{name: [name] for name in every})
    workspace.run("trainsets")
    for name in every:
        c = composition(name, ["en", "ko"])
        texts, rows = read(name)
        found = [
            (kind, texts[q], texts[p], [texts[n] for n in negatives], groups)
            for kind, q, p, negatives, groups in rows.iter_rows()
        ]
        assert found == [
            (
                name,
                f"{q}|{c.query}",
                f"{p}|{c.positive}",
                [f"{n}|{c.negative}" for n in negatives],
                [PASSAGES.index(x) for x in (p, *negatives)],
            )
            for q, p, negatives in TRIPLES
        ]


def test_a_joint_recipe_holds_its_compositions_in_order_and_each_text_once(workspace):
    prepared(workspace, joint=["koenen", "en-ko-ko", "kokoko"])
    workspace.run("trainsets")
    texts, rows = read("joint")
    assert rows["composition"].to_list() == ["koenen"] * 3 + ["enkoko"] * 3 + ["kokoko"] * 3
    assert len(set(texts)) == len(texts)
    used = {*rows["query"], *rows["positive"], *rows["negatives"].explode()}
    assert used == set(range(len(texts)))
    assert texts == sorted(texts)


FOUR = ["koenen", "enkoko", "en-en-en", "kokoen", "enenen"]


@pytest.mark.parametrize(
    ("hybrid", "wanted"),
    [
        (None, []),
        (0.0, [(1.0, ["koenen", "enkoko"])]),
        (0.5, [(0.25, ["enenen"]), (0.25, ["kokoen"]), (0.5, ["koenen", "enkoko"])]),
        (1.0, [(0.5, ["enenen"]), (0.5, ["kokoen"])]),
    ],
)
def test_hybrid_batches_are_of_one_composition_or_of_those_that_cross(workspace, hybrid, wanted):
    prepared(workspace, hybrid, joint=FOUR)
    workspace.run("trainsets")
    assert tables.read("data/trainsets/joint/batches.parquet", tables.BATCHES).rows() == wanted


@pytest.mark.parametrize(("hybrid", "only"), [(0.0, ["koenen"]), (1.0, ["kokoko"])])
def test_a_recipe_of_one_kind_has_its_pools(workspace, hybrid, only):
    prepared(workspace, hybrid, one=only)
    workspace.run("trainsets")
    assert tables.read("data/trainsets/one/batches.parquet", tables.BATCHES).rows() == [(1.0, only)]


def test_the_bytes_repeat(workspace):
    prepared(workspace, 0.5, joint=["koenen", "kokoko"])
    written = []
    for _ in range(2):
        workspace.run("trainsets")
        written.append([f.read_bytes() for f in sorted((workspace.path / "data/trainsets/joint").iterdir())])
    assert written[0] == written[1]


def test_a_title_stands_before_its_text(workspace):
    prepared(workspace, one=["enenen"])
    file = workspace.path / "data/corpus/passages.parquet"
    titled = tables.read(file, tables.PASSAGES).with_columns(title=pl.lit("T"))
    tables.write(titled, file, tables.PASSAGES)
    workspace.run("trainsets")
    texts, rows = read("one")
    assert {texts[p] for p in rows["positive"]} == {"T a|en", "T b|en", "T c|en"}
    assert {texts[q] for q in rows["query"]} == {"q1|en", "q2|en"}


def test_a_recipe_without_a_triple_is_told(workspace):
    prepared(workspace, one=["enenen"])
    empty = pl.DataFrame(schema=tables.TRIPLES)
    tables.write(empty, "data/triples/window/enenen.parquet", tables.TRIPLES)
    with pytest.raises(UserError, match=r"recipes\.one has no triple"):
        workspace.run("trainsets")
