"""trainsets: the right language in each slot, texts once, groups beside them."""

import json
from pathlib import Path

import polars as pl
import pytest

from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES
from stages.schemas.codeswitched import CODESWITCHED
from stages.schemas.texts import PASSAGES
from stages.schemas.trainsets import BATCHES, TEACHER_SCORES, TRAINING_ROWS, TRAINING_TEXTS
from stages.schemas.triples import TRIPLES
from stages.shared import tables
from stages.shared.compositions import composition, compositions
from stages.shared.errors import UserError

NAMES = ["a", "b", "c", "d"]
ROWS = [("q1", "a", ["b", "d"]), ("q1", "c", ["d", "b"]), ("q2", "b", ["a", "c"])]


def prepared(workspace, batches=None, **recipes):
    workspace.corpus([(p, "train") for p in NAMES], [("q1", ["a", "c"]), ("q2", "b")])
    table = pl.DataFrame(ROWS, schema=TRIPLES, orient="row")
    for c in compositions(["en", "ko"]):
        tables.write(table, f"data/triples/window/{c.name}.parquet", TRIPLES)
    more = {"negatives": "window", "batches": batches or {}}
    workspace.edit(recipes={name: {"compositions": found, **more} for name, found in recipes.items()}, merges={})


def counted():
    return json.loads(Path("metrics/trainsets.json").read_text())


def read(name):
    texts = tables.read(f"data/trainsets/{name}/texts.parquet", TRAINING_TEXTS)["text"].to_list()
    return texts, tables.read(f"data/trainsets/{name}/rows.parquet", TRAINING_ROWS)


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
                # What else answers q1 comes after those of the triple.
                [NAMES.index(x) for x in (p, *negatives, *({"a", "c"} - {p} if q == "q1" else ()))],
            )
            for q, p, negatives in ROWS
        ]


def test_a_query_s_own_text_is_told_with_what_answers_it(workspace):
    prepared(workspace, one=["enenen"])
    # As another writes it, and in one language alone.
    workspace.corpus(
        [*((p, "train") for p in "abc"), ("d", "train", {"en": ("", "Q2|EN?"), "ko": ("", "d|ko")})],
        [("q1", ["a", "c"]), ("q2", "b")],
    )
    workspace.run("trainsets")
    _, rows = read("one")
    assert rows["groups"].to_list() == [[0, 1, 3, 2], [2, 3, 1, 0], [1, 0, 2, 3]]


def test_a_joint_recipe_holds_its_compositions_in_order_and_each_text_once(workspace):
    prepared(workspace, joint=["koenen", "en-ko-ko", "kokoko"])
    workspace.run("trainsets")
    texts, rows = read("joint")
    assert rows["composition"].to_list() == ["koenen"] * 3 + ["enkoko"] * 3 + ["kokoko"] * 3
    assert len(set(texts)) == len(texts)
    used = {*rows["query"], *rows["positive"], *rows["negatives"].explode()}
    assert used == set(range(len(texts)))
    assert texts == sorted(texts)


def test_a_re_ranker_has_a_training_set_as_recipes_have(workspace):
    prepared(workspace, joint=["koenen", "enenen"], one=["enenen"])
    same = {"compositions": ["koenen", "enenen"], "negatives": "window"}
    workspace.edit(rerankers={"cross": same}).run("trainsets")
    folder = Path("data/trainsets")
    for name in ("texts", "rows", "batches"):
        assert (folder / f"cross/{name}.parquet").read_bytes() == (folder / f"joint/{name}.parquet").read_bytes()
    assert counted()["recipes"]["cross"] == counted()["recipes"]["joint"]
    tables.write(pl.DataFrame(schema=TRIPLES), "data/triples/window/kokoko.parquet", TRIPLES)
    workspace.edit(rerankers={"cross": {**same, "compositions": ["kokoko"]}})
    with pytest.raises(UserError, match=r"rerankers\.cross has no triple"):
        workspace.run("trainsets")


DISTILLATION = {"kind": "kl", "weight": 0.5, "temperature": 0.05}


def ranked(depth=4):
    """All of `NAMES` for each query and direction, d first; the score says the direction and the passage."""
    tables.write(pl.DataFrame({"passage": NAMES}), "data/candidates/pool.parquet", CANDIDATE_POOL)
    rows = []
    for query in ("q1", "q2"):
        for way, asked, searched in ((0.1, "en", "en"), (0.2, "en", "ko"), (0.3, "ko", "en"), (0.4, "ko", "ko")):
            scores = [way + 0.01 * number for number in (3, 2, 1, 0)]
            positive = way + 0.01 * {"q1": 0, "q2": 1}[query]
            rows.append((query, asked, searched, positive, [3, 2, 1, 0][:depth], scores[:depth]))
    tables.write(pl.DataFrame(rows, CANDIDATES, orient="row"), "data/candidates/ranked.parquet", CANDIDATES)


@pytest.mark.parametrize(("direction", "positive", "negatives"), [("each", 0.3, 0.4), ("en-en", 0.1, 0.1)])
def test_what_is_distilled_is_the_ranking_that_the_negatives_come_from(workspace, direction, positive, negatives):
    prepared(workspace, one=["koenko"])
    ranked()
    same = {"compositions": ["koenko"], "negatives": "window"}
    workspace.edit(train__distillation=DISTILLATION, rerankers={"cross": same}, negatives__window__direction=direction)
    workspace.run("trainsets")
    found = tables.read("data/trainsets/one/scores.parquet", TEACHER_SCORES)["scores"].to_list()
    place = {name: 0.01 * number for number, name in enumerate(NAMES)}
    wanted = [[positive + place[p], *(negatives + place[n] for n in own)] for _, p, own in ROWS]
    assert found == [pytest.approx(row) for row in wanted]
    assert not Path("data/trainsets/cross/scores.parquet").exists()
    distilled = {name: Path(f"data/trainsets/one/{name}.parquet").read_bytes() for name in ("texts", "rows", "batches")}
    workspace.edit(train__distillation=None).run("trainsets")
    assert {file.stem: file.read_bytes() for file in Path("data/trainsets/one").iterdir()} == distilled


def test_what_the_teacher_did_not_score_is_not_distilled(workspace):
    """With two ranks, d and c: q2's b is its only positive, whose score is known; of q1's a it is not, nor of b."""
    prepared(workspace, one=["enenen"])
    ranked(depth=2)
    workspace.edit(train__distillation=DISTILLATION)
    with pytest.raises(UserError, match=r"recipes\.one: the teacher did not score 4 passages of enenen, .*raise it"):
        workspace.run("trainsets")


CROSS = ["enkoko", "koenen"]


@pytest.mark.parametrize(
    ("batches", "found", "wanted"),
    [
        ({}, ["mono", "cross"], []),
        ({"scheme": "x-x"}, "mono", []),
        ({"scheme": "x-y"}, "cross", []),
        ({"scheme": "x-x-mono"}, "mono", [(0.5, ["enenen"]), (0.5, ["kokoko"])]),
        ({"scheme": "hybrid"}, ["mono", "cross"], [(0.25, ["enenen"]), (0.25, ["kokoko"]), (0.5, CROSS)]),
        ({"scheme": "hybrid", "alpha": 0}, ["mono", "cross"], [(1.0, CROSS)]),
        ({"scheme": "hybrid", "alpha": 1}, ["mono", "cross"], [(0.5, ["enenen"]), (0.5, ["kokoko"])]),
        # Of one row in Korean and three in English: 3/4 by size, and by the root of it 3 ** .5 / (3 ** .5 + 1).
        ({"scheme": "x-x-mono", "draw": "size"}, "mono", [(0.75, ["enenen"]), (0.25, ["kokoko"])]),
        ({"scheme": "x-x-mono", "draw": 0.5}, "mono", [(0.6339746, ["enenen"]), (0.3660254, ["kokoko"])]),
    ],
)
def test_a_scheme_of_batches_has_its_pools(workspace, batches, found, wanted):
    prepared(workspace, batches, one=found)
    tables.write(pl.DataFrame(ROWS[:1], TRIPLES, orient="row"), "data/triples/window/kokoko.parquet", TRIPLES)
    workspace.run("trainsets")
    pools = tables.read("data/trainsets/one/batches.parquet", BATCHES).rows()
    assert [names for _, names in pools] == [names for _, names in wanted]
    assert [share for share, _ in pools] == pytest.approx([share for share, _ in wanted])


def test_what_recipes_train_on_is_counted(workspace):
    prepared(workspace, every=["koenen", "enkoko"], less=["enenen"])
    workspace.corpus([(p, "train") for p in NAMES], [("q1", ["a", "c"]), ("q2", "b"), ("q3", "d")])
    tables.write(pl.DataFrame(ROWS[:2], TRIPLES, orient="row"), "data/triples/window/enenen.parquet", TRIPLES)
    workspace.run("trainsets")
    both = {"asked": 3, "no_negatives": 1, "over_share": 0, "queries": 2, "rows": 3}
    assert counted() == {
        "recipes": {
            "every": {"koenen": both, "enkoko": both},
            "less": {"enenen": {"asked": 3, "no_negatives": 2, "over_share": 0, "queries": 1, "rows": 2}},
        },
        "queries": {"every_recipe": 1, "any_recipe": 2},
    }


def test_a_recipe_is_limited_to_domains_and_to_parts_of_the_passages(workspace):
    names = [f"p{i:02}" for i in range(40)]
    workspace.corpus([(p, "train") for p in names], [(f"q{p}", p) for p in names])
    passages = tables.read("data/corpus/passages.parquet", PASSAGES)
    even = pl.col("passage").str.tail(1).cast(pl.Int32) % 2 == 0
    passages = passages.with_columns(stratum=pl.when(even).then(pl.lit("420")).otherwise(pl.lit("300")))
    tables.write(passages, "data/corpus/passages.parquet", PASSAGES)
    rows = [(f"q{p}", p, [names[(i + 1) % 40], names[(i + 2) % 40]]) for i, p in enumerate(names)]
    for name in ("enenen", "kokoko"):
        tables.write(pl.DataFrame(rows, TRIPLES, orient="row"), f"data/triples/window/{name}.parquet", TRIPLES)
    both = {"compositions": ["enenen", "kokoko"], "negatives": "window"}
    limits = {
        "science": {"domains": ["science"]},
        "either": {"domains": ["science", "society"]},
        "first": {"part": [0.0, 0.5]},
        "second": {"part": [0.5, 1.0]},
    }
    workspace.edit(
        domains={"science": ["4*"], "society": ["3*"]},
        recipes={name: {**both, **limit} for name, limit in limits.items()},
        merges={},
    )
    workspace.run("trainsets")
    trained = {}
    for name in limits:
        texts, rows = read(name)
        trained[name] = {texts[p].split("|")[0] for p in rows["positive"]}
        told = counted()["recipes"][name]["enenen"]
        assert told["queries"] == len(trained[name]) == 40 - told.get("elsewhere", 0) and told["over_share"] == 0
    assert trained["science"] == {p for p in names if int(p[1:]) % 2 == 0} and trained["either"] == set(names)
    # Without overlap, and nothing is in neither.
    assert trained["first"] | trained["second"] == set(names) and not trained["first"] & trained["second"]
    assert 10 < len(trained["first"]) < 30
    workspace.edit(recipes={"none": {**both, "domains": ["science"], "part": [0.0, 1e-9]}})
    with pytest.raises(UserError, match=r"recipes\.none has no triple: domains \['science'\] and part \[0\.0, 1e-09\]"):
        workspace.run("trainsets")


def test_a_sample_is_of_queries_by_the_recipes_name_and_the_rest_is_counted(workspace):
    both, share = ["enenen", "koenen"], {"sample": 0.5, "negatives": "window"}
    labelled(workspace, {}, ((40, "labelled"),))
    workspace.edit(recipes={name: {**share, "compositions": both} for name in ("one", "two")}, merges={})
    workspace.run("trainsets")
    drawn = {}
    for name in ("one", "two"):
        texts, rows = read(name)
        by_language = [{texts[q].split("|")[0] for q in rows.filter(composition=c)["query"].to_list()} for c in both]
        assert by_language[0] == by_language[1]
        drawn[name] = by_language[0]
        told = counted()["recipes"][name]["enenen"]
        assert told["queries"] == len(drawn[name]) == told["asked"] - told["over_share"]
        # 40 draws at one half: beyond 8 and 32 once in 50,000.
        assert 8 < len(drawn[name]) < 32
    assert drawn["one"] != drawn["two"]


def test_queries_of_which_a_share_leaves_none_are_counted(workspace):
    labelled(workspace, {"one": {"synthetic": 0.8}, "as-they-come": {}})
    workspace.run("trainsets")
    report = counted()
    one = report["recipes"]["one"]["koenen"]
    assert (one["asked"], one["no_negatives"], one["rows"]) == (20, 0, 12)
    assert one["queries"] == len(set(origins("one"))) == 20 - one["over_share"] < 20
    assert report["queries"] == {"every_recipe": one["queries"], "any_recipe": 20}


def test_the_bytes_repeat(workspace):
    prepared(workspace, {"scheme": "hybrid"}, joint=["koenen", "kokoko"])
    written = []
    for _ in range(2):
        workspace.run("trainsets")
        written.append([f.read_bytes() for f in sorted((workspace.path / "data/trainsets/joint").iterdir())])
    assert written[0] == written[1]


def test_a_title_stands_before_its_text(workspace):
    prepared(workspace, one=["enenen"])
    file = workspace.path / "data/corpus/passages.parquet"
    titled = tables.read(file, PASSAGES).with_columns(title=pl.lit("T"))
    tables.write(titled, file, PASSAGES)
    workspace.run("collect")
    workspace.run("trainsets")
    texts, rows = read("one")
    assert {texts[p] for p in rows["positive"]} == {"T a|en", "T b|en", "T c|en"}
    assert {texts[q] for q in rows["query"]} == {"q1|en", "q2|en"}


def test_a_recipe_without_a_triple_is_told(workspace):
    prepared(workspace, one=["enenen"])
    empty = pl.DataFrame(schema=TRIPLES)
    tables.write(empty, "data/triples/window/enenen.parquet", TRIPLES)
    with pytest.raises(UserError, match=r"recipes\.one has no triple"):
        workspace.run("trainsets")


def labelled(workspace, recipes, queries=((10, "labelled"), (10, "synthetic"))):
    """A knowledge base of labels a and b with two entries each, and queries of an origin, `qNN` and `sNN`."""
    entries = [(f"{label}{i}", label) for label in "ab" for i in range(2)]
    names = [(f"{origin[0]}{i:02}", "ab"[i % 2], origin) for count, origin in queries for i in range(count)]
    labels = [("passage", name, label, "labelled", "train") for name, label in entries]
    labels += [("query", name, label, origin, "train") for name, label, origin in names]
    texts = [(name, lang, f"{name}|{lang}") for name, _, _ in names for lang in ("en", "ko")]
    rows = [(name, "en", "", f"{name}|en", label, "train") for name, label in entries]
    rows += [("free", "en", "", "free|en", "", "train"), ("other", "en", "", "other|en", "", "train")]
    workspace.tables("corpus", rows, texts, labelled=labels, labels=[("a", ""), ("b", "")])
    workspace.tables("synthetic")
    found = [(name, f"{label}0", ["b1" if label == "a" else "a1", "free"]) for name, label, _ in names]
    found += [(name, f"{label}1", ["other", "free"]) for name, label, _ in names[:1]]
    table = pl.DataFrame(sorted(found), schema=TRIPLES, orient="row")
    for spelling in ("enenen", "koenen"):
        tables.write(table, f"data/triples/window/{spelling}.parquet", TRIPLES)
    given = {"compositions": ["koenen"], "negatives": "window"}
    workspace.edit(recipes={name: given | more for name, more in recipes.items()}, merges={})


def origins(name):
    texts, rows = read(name)
    return [texts[query] for query in rows["query"]]


@pytest.mark.parametrize(
    ("share", "own", "synthetic"),
    # The first labelled query has two triples, so that there are 11 and 10 of them.
    [(None, 11, 10), (0.0, 11, 0), (1.0, 0, 10), (0.3, 11, 5), (0.5, 10, 10), (0.8, 2, 10)],
)
def test_synthetic_queries_have_their_share_of_the_rows(workspace, share, own, synthetic):
    labelled(workspace, {"one": {} if share is None else {"synthetic": share}})
    workspace.run("trainsets")
    found = origins("one")
    assert sum(text.startswith("l") for text in found) == own
    assert sum(text.startswith("s") for text in found) == synthetic
    assert found == sorted(found)
    assert {text[-2:] for text in found} == {"ko"}


def test_the_share_is_drawn_by_query_id_the_same_in_all_compositions(workspace):
    labelled(workspace, {"one": {"synthetic": 0.3}, "both": {"synthetic": 0.3, "compositions": ["enenen", "koenen"]}})
    workspace.run("trainsets")
    first = [text[:3] for text in origins("one")]
    assert [text[:3] for text in origins("both")] == first * 2
    workspace.edit(seed=2).run("trainsets")
    assert [text[:3] for text in origins("one")] != first


@pytest.mark.parametrize(("share", "queries"), [(0.3, ((9, "labelled"),)), (1.0, ((9, "labelled"),))])
def test_a_share_of_queries_that_are_not_there_is_told(workspace, share, queries):
    labelled(workspace, {"one": {"synthetic": share}}, queries)
    with pytest.raises(UserError, match=r"^recipes\.one has no triple: with synthetic .* there must be synthetic"):
        workspace.run("trainsets")


def test_entries_of_a_label_are_of_one_group_and_others_of_their_own(workspace):
    labelled(workspace, {"one": {}})
    workspace.run("trainsets")
    texts, rows = read("one")
    groups: dict = {}
    for row in rows.iter_rows(named=True):
        for text, group in zip([row["positive"], *row["negatives"]], row["groups"], strict=True):
            groups.setdefault(texts[text].split("|")[0], set()).add(group)
    assert all(len(found) == 1 for found in groups.values())
    assert groups["a0"] == groups["a1"] and groups["b0"] == groups["b1"]
    assert len({*groups["a0"], *groups["b0"], *groups["free"], *groups["other"]}) == 4


def code_switched(workspace, sides=("query", "passage"), draws=1, lang="en"):
    """Write a variant in which each text of `lang` is as it was, after its draw: '0:q1|en'."""
    named = [("query", name) for name in ("q1", "q2")] + [("passage", name) for name in NAMES]
    rows = [(side, name, lang, d, f"{d}:{name}|{lang}") for side, name in named if side in sides for d in range(draws)]
    table = pl.DataFrame(sorted(rows), CODESWITCHED, orient="row")
    tables.write(table, "data/codeswitched/switched.parquet", CODESWITCHED)


def in_texts(name):
    texts, rows = read(name)
    return [(texts[q], texts[p], [texts[n] for n in negatives]) for _, q, p, negatives, _ in rows.iter_rows()]


def test_a_share_of_the_queries_is_code_switched_with_their_passages(workspace):
    prepared(workspace)
    code_switched(workspace)
    one = {"compositions": ["enenen"], "negatives": "window", "batches": {"scheme": "x-x-mono"}}
    shares = {"none": 0.0, "half": 0.5, "all": 1.0}
    recipes = {name: one | {"switched": {"variant": "switched", "share": share}} for name, share in shares.items()}
    workspace.edit(recipes=recipes | {"plain": one}).run("trainsets")
    plain, whole = in_texts("plain"), in_texts("all")
    assert in_texts("none") == plain
    assert whole == [(f"0:{q}", f"0:{p}", [f"0:{n}" for n in negatives]) for q, p, negatives in plain]
    # One of two queries, which have two rows and one; groups go with their passages.
    half = in_texts("half")
    taken = {query.removeprefix("0:") for query, *_ in half if query.startswith("0:")}
    assert len(taken) == 1
    assert sorted(half) == sorted(new if old[0] in taken else old for old, new in zip(plain, whole, strict=True))
    assert sorted(read("half")[1]["groups"].to_list()) == sorted(read("plain")[1]["groups"].to_list())
    files = [Path(f"data/trainsets/{name}/batches.parquet").read_bytes() for name in ("half", "plain")]
    assert files[0] == files[1]
    counts = counted()["recipes"]
    assert [counts[name]["enenen"].get("switched") for name in ("none", "all", "plain")] == [0, 3, None]


def test_of_several_draws_each_row_is_there_once_in_each(workspace):
    prepared(workspace)
    code_switched(workspace, sides=("query",), draws=2)
    recipe = {"compositions": ["enenko"], "negatives": "window", "switched": {"variant": "switched", "share": 1.0}}
    workspace.edit(recipes={"one": recipe}).run("trainsets")
    assert in_texts("one") == [
        (f"{draw}:{q}|en", f"{p}|en", [f"{n}|ko" for n in negatives]) for draw in range(2) for q, p, negatives in ROWS
    ]
    assert counted()["recipes"]["one"]["enenko"] == {
        "asked": 2,
        "no_negatives": 0,
        "over_share": 0,
        "queries": 2,
        "rows": 6,
        "switched": 6,
    }


def test_a_variant_changes_the_recipes_that_use_it_and_no_other(workspace):
    prepared(workspace)
    switched = {"compositions": ["enenen"], "negatives": "window", "switched": {"variant": "switched", "share": 0.5}}
    plain = {"compositions": ["enenen"], "negatives": "window"}
    workspace.edit(recipes={"plain": plain, "one": switched}, rerankers={"cross": switched})
    written = []
    for draws in (1, 2):
        code_switched(workspace, draws=draws)
        workspace.run("trainsets")
        written.append([Path(f"data/trainsets/{name}/rows.parquet").read_bytes() for name in ("plain", "one", "cross")])
    assert [before == after for before, after in zip(*written, strict=True)] == [True, False, False]
    assert written[1][1] == written[1][2]


def test_a_variant_that_switches_nothing_trains_no_recipe(workspace):
    prepared(workspace)
    tables.write(pl.DataFrame(schema=CODESWITCHED), "data/codeswitched/switched.parquet", CODESWITCHED)
    recipe = {"compositions": ["enenen"], "negatives": "window", "switched": {"variant": "switched", "share": 0.5}}
    workspace.edit(recipes={"one": recipe})
    with pytest.raises(UserError, match=r"^codeswitch\.switched, which a recipe is to train on, switches nothing"):
        workspace.run("trainsets")


def test_a_language_that_a_variant_lacks_is_told(workspace):
    prepared(workspace)
    code_switched(workspace)
    recipe = {"compositions": ["enkoko"], "negatives": "window", "switched": {"variant": "switched", "share": 0.5}}
    workspace.edit(recipes={"one": recipe})
    with pytest.raises(UserError, match=r"^codeswitch\.switched has no passage in ko, which enkoko needs"):
        workspace.run("trainsets")
