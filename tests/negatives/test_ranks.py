"""Negatives by rank: against a slow computation, query by query and rank by rank."""

import json
import random

import polars as pl
import pytest

from stages.negatives import ranks
from stages.negatives.answers import Answers
from stages.schemas.candidates import CANDIDATE_POOL, CANDIDATES
from stages.schemas.collected import COLLECTED_PASSAGES, COLLECTED_QUERIES, GROUP_LABELS
from stages.schemas.negatives import NEGATIVES
from stages.schemas.texts import QRELS
from stages.settings.negatives import Negatives
from stages.shared import tables
from stages.shared.collection import Collection
from stages.shared.errors import UserError

POOL = pl.Series("passage", [f"p{i:02}" for i in range(40)])
NOTHING = pl.DataFrame(schema={"query": pl.String, "passage": pl.String})


def made(seed, queries=25, depth=20):
    """A teacher's lists: `ranked`, and `relevant` with one to three passages a query."""
    rng = random.Random(seed)
    rows, relevant = [], []
    for i in range(queries):
        candidates = rng.sample(range(40), depth)
        # Few different scores, so that margins and bounds are hit exactly; some teachers give negative ones.
        scores = sorted((rng.randint(-8, 8) / 8 for _ in range(depth)), reverse=True)
        rows.append((f"q{i:02}", "ko", "en", rng.randint(-8, 8) / 8, candidates, scores))
        relevant += [(f"q{i:02}", f"p{n:02}", 1) for n in rng.sample(range(40), rng.randint(1, 3))]
    return (
        pl.DataFrame(rows, schema=CANDIDATES, orient="row"),
        pl.DataFrame(relevant, schema=QRELS, orient="row"),
    )


def drawn(seed):
    """Settings, each filter on or off."""
    rng = random.Random(seed)
    low = rng.randint(1, 10)
    k = rng.randint(1, 4)

    def maybe(values):
        return rng.choice([None, rng.choice(values)])

    return Negatives(
        k=k,
        direction="each",
        rank_min=low,
        rank_max=rng.randint(low + k - 1, 20),
        absolute_margin=maybe([0.0, 0.125, 0.5]),
        relative_margin=maybe([0.0, 0.25, 0.5]),
        min_score=maybe([-0.5, 0.0]),
        max_score=maybe([0.5, 0.75]),
        pick=rng.choice(["top", "random"]),
        written=False,
        round_trip=None,
    )


def pick(ranked, pool, relevant, judged, strategy, seed, labels=None, queries=(), about=None):
    """What is picked where `relevant` answer their queries and `judged` do not (both with query and passage); `labels`:
    {passage: label}, else each passage is a group of its own; `queries`: rows (query, lang, text)."""
    groups = {name: (labels or {}).get(name, name) for name in pool}
    rows = [(name, "en", group, "", name, "train") for name, group in groups.items()]
    passages = pl.DataFrame(rows, COLLECTED_PASSAGES, orient="row")
    qrels, others = (
        table.with_columns(group=pl.col("passage").replace(groups)).select("query", "group").unique()
        for table in (relevant, judged)
    )
    named = pl.DataFrame([(label, "") for label in {*(labels or {}).values()}], GROUP_LABELS, orient="row")
    asked = pl.DataFrame([(*row, "train", "given") for row in queries], COLLECTED_QUERIES, orient="row")
    stored = Collection(passages, asked, qrels, others, named)
    return ranks.pick(ranked, Answers(stored, pool), others, strategy, seed, about=about)


def left(row, relevant, s):
    """The names that may be kept of one query's list, best first; and what dropped the others."""
    kept, reasons = [], []
    own = set(relevant.filter(query=row["query"])["passage"])
    positive = row["positive_score"]
    for rank, (number, score) in enumerate(zip(row["candidates"], row["scores"], strict=True), 1):
        if not s.rank_min <= rank <= s.rank_max:
            continue
        reasons.append("candidates")
        if POOL[number] in own:
            reasons.append("relevant")
        elif s.absolute_margin is not None and score > positive - s.absolute_margin:
            reasons.append("absolute_margin")
        elif s.relative_margin is not None and score > positive - s.relative_margin * abs(positive):
            reasons.append("relative_margin")
        elif s.min_score is not None and score < s.min_score:
            reasons.append("min_score")
        elif s.max_score is not None and score > s.max_score:
            reasons.append("max_score")
        else:
            kept.append(POOL[number])
    return kept, reasons


def test_negatives_within_a_domain_are_of_the_query_s_own():
    """Of the others, p30 to p39 have no domain, which is one of its own."""
    ranked, relevant = made(3)
    relevant = relevant.unique("query", keep="first", maintain_order=True)
    about = pl.DataFrame({"passage": POOL[:30]}).with_columns(domain=pl.Series(["even", "odd"] * 15))
    of = dict(about.iter_rows())
    settings = Negatives(k=2, rank_min=1, rank_max=20, within="domain", pick="top")
    table, counts = pick(ranked, POOL, relevant, NOTHING, settings, seed=1, about=about)
    own = {query: of.get(passage) for query, passage, _ in relevant.iter_rows()}
    assert {
        query: {of.get(name) for name in names} for query, names in table.select("query", "negatives").iter_rows()
    } == {query: {own[query]} for query in table["query"]}
    listed = [(own[q], of.get(POOL[n])) for q, names in ranked.select("query", "candidates").iter_rows() for n in names]
    assert counts["other_domain"] == sum(mine != other for mine, other in listed)
    assert set(own.values()) == {"even", "odd", None} and counts["short"] + len(table) == len(ranked)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_kept_is_what_the_settings_leave(seed):
    (ranked, relevant), settings = made(seed), drawn(seed)
    table, counts = pick(ranked, POOL, relevant, NOTHING, settings, seed=1)
    found = dict(table.select("query", "negatives").iter_rows())
    reasons = dict.fromkeys(
        ["candidates", "relevant", "absolute_margin", "relative_margin", "min_score", "max_score"], 0
    )
    short = 0
    for row in ranked.iter_rows(named=True):
        kept, dropped = left(row, relevant, settings)
        for reason in dropped:
            reasons[reason] += 1
        if len(kept) < settings.k:
            short += 1
            assert row["query"] not in found
        elif settings.pick == "top":
            assert found[row["query"]] == kept[: settings.k]
        else:
            assert len(set(found[row["query"]])) == settings.k
            assert set(found[row["query"]]) <= set(kept)
    assert counts["queries"] == 25
    assert counts["short"] == short == 25 - len(found)
    for reason, count in reasons.items():
        if reason in counts:
            assert counts[reason] == count, reason
        else:
            assert count == 0


def test_a_querys_own_text_is_no_negative_and_takes_no_rank():
    """By its id, or by its text under another: p00 is the query p00, p01 has the text of query q."""
    pool = POOL[:6]
    rows = [(query, "ko", "en", 0.1, [0, 1, 2, 3, 4, 5], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]) for query in ("p00", "q")]
    ranked = pl.DataFrame(rows, schema=CANDIDATES, orient="row")
    relevant = pl.DataFrame([("p00", "p03"), ("q", "p03")], NOTHING.schema, orient="row")
    settings = drawn(1).model_copy(
        update={"k": 2, "rank_min": 1, "rank_max": 6, "pick": "top", "round_trip": 3}
        | dict.fromkeys(["absolute_margin", "relative_margin", "min_score", "max_score"])
    )
    asked = [("p00", "ko", "하나"), ("p00", "en", "one"), ("q", "en", "P01?")]
    table, counts = pick(ranked, pool, relevant, NOTHING, settings, 1, queries=asked)
    assert dict(table.select("query", "negatives").iter_rows()) == {"p00": ["p01", "p02"], "q": ["p00", "p02"]}
    assert (counts["itself"], counts["round_trip"]) == (2, 0)
    table, counts = pick(ranked, pool, relevant, NOTHING, settings, 1, queries=[])
    # Known to be nobody's own, they push what answers the query from the third rank.
    assert table.is_empty() and counts["round_trip"] == 2


def test_the_mean_scores_reported_are_those_of_what_is_kept():
    ranked, relevant = made(3)
    settings = drawn(3).model_copy(update={"pick": "top", "k": 1, "rank_min": 1, "rank_max": 20})
    table, counts = pick(ranked, POOL, relevant, NOTHING, settings, seed=1)
    scores, positives = [], []
    for row in ranked.join(table.select("query", "negatives"), on="query").iter_rows(named=True):
        by_name = {POOL[n]: s for n, s in zip(row["candidates"], row["scores"], strict=True)}
        scores += [by_name[name] for name in row["negatives"]]
        positives.append(row["positive_score"])
    assert counts["negative_score"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)
    assert counts["positive_score"] == pytest.approx(sum(positives) / len(positives), abs=1e-5)


OPEN = Negatives(
    k=3,
    direction="each",
    rank_min=1,
    rank_max=20,
    absolute_margin=None,
    relative_margin=None,
    min_score=None,
    max_score=None,
    pick="random",
    written=False,
    round_trip=None,
)


def choice(ranked, relevant, seed=1, settings=OPEN):
    table, _ = pick(ranked, POOL, relevant, NOTHING, settings, seed)
    return dict(table.select("query", "negatives").iter_rows())


def test_a_query_keeps_its_choice_whatever_others_there_are():
    ranked, relevant = made(1)
    alone = choice(ranked.filter(pl.col("query").is_in(["q04", "q11"])).reverse(), relevant)
    assert alone == {q: n for q, n in choice(ranked, relevant).items() if q in ("q04", "q11")}


def test_a_random_choice_changes_with_the_seed_and_favours_no_rank():
    ranked, relevant = made(1, queries=400)
    assert choice(ranked, relevant, 1) != choice(ranked, relevant, 2)
    found = [
        row["candidates"].index(int(name[1:])) + 1
        for seed in (1, 2, 3)
        for row in ranked.with_columns(
            pl.Series("negatives", list(choice(ranked, relevant.clear(), seed).values()))
        ).iter_rows(named=True)
        for name in row["negatives"]
    ]
    counts = [found.count(r) for r in range(1, 21)]
    # 3600 draws over 20 ranks: 180 each, with a deviation of 13.
    assert min(counts) > 120
    assert max(counts) < 240


def judged(seed, ranked, most=4):
    """Up to `most` passages for every other query, judged not relevant, whatever the teacher says of them."""
    rng = random.Random(seed)
    rows = [(query, name) for query in ranked["query"][::2] for name in rng.sample([*POOL], rng.randint(0, most))]
    return pl.DataFrame(rows, schema=NOTHING.schema, orient="row")


@pytest.mark.parametrize("seed", range(30))
def test_written_negatives_come_first_and_mined_ones_fill_up(seed):
    ranked, relevant = made(seed)
    own = judged(seed, ranked).join(relevant, on=["query", "passage"], how="anti")
    settings = drawn(seed).model_copy(update={"written": True, "k": 2})
    table, counts = pick(ranked, POOL, relevant, own, settings, seed=1)
    found = dict(table.select("query", "negatives").iter_rows())
    taken = 0
    for row in ranked.iter_rows(named=True):
        written = sorted(own.filter(query=row["query"])["passage"])
        mined = [name for name in left(row, relevant, settings)[0] if name not in written]
        taken += len(written[:2])
        if len(written[:2]) + len(mined) < 2:
            assert row["query"] not in found
            continue
        kept = found[row["query"]]
        assert len(set(kept)) == len(kept) == 2
        assert kept[: len(written)] == written[:2]
        assert set(kept[len(written) :]) <= set(mined)
        if settings.pick == "top":
            assert kept[len(written) :] == mined[: max(0, 2 - len(written))]
    assert counts["written"] == taken
    assert counts["short"] == 25 - len(found)


def test_a_written_negative_is_taken_at_any_rank_and_from_outside_the_list():
    ranked, _ = made(1, queries=1)
    names = [POOL[n] for n in ranked["candidates"][0]]
    outside = next(name for name in POOL if name not in names)
    off = OPEN.model_copy(update={"rank_min": 2, "rank_max": 4})
    strategy = off.model_copy(update={"written": True, "pick": "top"})
    relevant = pl.DataFrame([("q00", names[0], 1)], schema=QRELS, orient="row")
    for written, wanted in (
        ([outside], [outside, names[1], names[2]]),  # not in the list at all
        ([names[15]], [names[15], names[1], names[2]]),  # in the list, beyond the window
        ([names[2]], [names[2], names[1], names[3]]),  # in the window: it is not mined again
        ([], names[1:4]),
        (names[12:16], sorted(names[12:16])[:3]),  # more than are wanted
    ):
        rows = pl.DataFrame([("q00", name) for name in written], schema=NOTHING.schema, orient="row")
        table, counts = pick(ranked, POOL, relevant, rows, strategy, seed=1)
        assert table["negatives"].to_list() == [wanted]
        assert counts["written"] == min(3, len(written))
        # Off, they are candidates like all others.
        table, counts = pick(ranked, POOL, relevant, rows, off, seed=1)
        assert set(table["negatives"][0]) == set(names[1:4])
        assert "written" not in counts


def test_the_score_of_written_negatives_is_in_no_mean():
    """They need not be in the teacher's list, so there is none for some of them."""
    ranked, relevant = made(2, queries=1)
    strategy = OPEN.model_copy(update={"written": True, "pick": "top"})
    names = [POOL[n] for n in ranked["candidates"][0]]
    rows = pl.DataFrame([("q00", name) for name in names[10:12]], schema=NOTHING.schema, orient="row")
    table, counts = pick(ranked, POOL, relevant, rows, strategy, seed=1)
    (kept,) = table["negatives"].to_list()
    assert kept[:2] == sorted(names[10:12])
    assert counts["negative_score"] == round(ranked["scores"][0][names.index(kept[2])], 5)
    rows = pl.DataFrame([("q00", name) for name in names[10:13]], schema=NOTHING.schema, orient="row")
    assert "negative_score" not in pick(ranked, POOL, relevant, rows, strategy, seed=1)[1]


@pytest.mark.parametrize("size", [2, 3])
def test_lists_shorter_than_k_leave_what_is_written(size):
    """As of a collection of a few triples."""
    pool = pl.concat([POOL[:size], pl.Series(["x", "y", "z"])])
    strategy = OPEN.model_copy(update={"written": True})
    rows = [(f"q{i}", "ko", "en", 0.5, list(range(size)), [0.5] * size) for i in range(2)]
    ranked = pl.DataFrame(rows, schema=CANDIDATES, orient="row")
    relevant = pl.DataFrame([("q0", "p00", 1), ("q1", "p00", 1)], schema=QRELS, orient="row")
    enough = pl.DataFrame([("q1", name) for name in "xyz"], schema=NOTHING.schema, orient="row")
    table, counts = pick(ranked, pool, relevant, enough, strategy, seed=1)
    assert table.select("query", "negatives").rows() == [("q1", ["x", "y", "z"])]
    assert counts["short"] == 1
    table, counts = pick(ranked, pool, relevant, NOTHING, strategy, seed=1)
    assert table.is_empty()
    assert counts["short"] == 2


@pytest.mark.parametrize("depth", [1, 3, 20])
def test_a_round_trip_drops_the_queries_whose_passage_is_not_found_so_far_up(depth):
    ranked, relevant = made(7)
    found = [
        query
        for query, candidates in ranked.select("query", "candidates").iter_rows()
        if set(relevant.filter(query=query)["passage"]) & {POOL[n] for n in candidates[:depth]}
    ]
    assert 0 < len(found) < 25
    strategy = OPEN.model_copy(update={"round_trip": depth})
    table, counts = pick(ranked, POOL, relevant, NOTHING, strategy, seed=1)
    assert table["query"].to_list() == found
    assert (counts["queries"], counts["round_trip"]) == (25, 25 - len(found))
    # Those that stay keep what they had.
    assert dict(table.select("query", "negatives").iter_rows()) == {
        query: kept for query, kept in choice(ranked, relevant).items() if query in found
    }


def test_a_round_trip_that_finds_nothing_leaves_nothing():
    ranked, relevant = made(7)
    unknown = relevant.with_columns(passage=pl.lit("nowhere"))
    strategy = OPEN.model_copy(update={"round_trip": 20})
    table, counts = pick(ranked, POOL, unknown, NOTHING, strategy, seed=1)
    assert table.is_empty()
    assert counts == {"queries": 25, "round_trip": 25}


@pytest.mark.parametrize("label", ["odd", None])
def test_passages_of_the_query_s_label_answer_it(label):
    """Every other passage is odd, the others have no label. A query has the label, or that of what answers it."""
    ranked, relevant = made(5)
    odd = dict.fromkeys(POOL[1::2], "odd")
    asked = pl.DataFrame([(name, POOL[1], 1) for name in ranked["query"] if label], schema=QRELS, orient="row")
    settings = OPEN.model_copy(update={"pick": "top", "round_trip": 1})
    table, counts = pick(ranked, POOL, pl.concat([relevant, asked]), NOTHING, settings, 1, odd)
    wanted, labelled = {}, 0
    for row in ranked.iter_rows(named=True):
        own = {*relevant.filter(query=row["query"])["passage"]}
        if label or own & odd.keys():
            own |= odd.keys()
            labelled += 1
        names = [POOL[n] for n in row["candidates"]]
        if names[0] in own:
            wanted[row["query"]] = [name for name in names if name not in own][:3]
    assert dict(table.select("query", "negatives").iter_rows()) == wanted
    assert counts["round_trip"] == 25 - len(wanted) > 0
    assert labelled == 25 if label else 0 < labelled < 25


DIRECTIONS = [(q, c) for q in ("en", "ko") for c in ("en", "ko")]


def kept():
    """What the stage kept, by direction."""
    table = tables.read("data/negatives/window.parquet", NEGATIVES)
    return [
        dict(table.filter(query_lang=q, corpus_lang=c).select("query", "negatives").iter_rows()) for q, c in DIRECTIONS
    ]


def run(workspace, direction):
    names = [f"p{i:02}" for i in range(40)]
    workspace.corpus([(n, "train") for n in names], [(f"q{i:02}", f"p{i:02}") for i in range(25)])
    parts = []
    for seed, (query_lang, corpus_lang) in enumerate(DIRECTIONS):
        parts.append(made(seed)[0].with_columns(query_lang=pl.lit(query_lang), corpus_lang=pl.lit(corpus_lang)))
    tables.write(POOL.to_frame(), "data/candidates/pool.parquet", CANDIDATE_POOL)
    tables.write(pl.concat(parts), "data/candidates/ranked.parquet", CANDIDATES)
    workspace.edit(negatives__window={**OPEN.model_dump(), "direction": direction}).run("negatives")
    report = json.loads((workspace.path / "metrics/negatives.json").read_text())
    relevant = pl.DataFrame([(f"q{i:02}", f"p{i:02}", 1) for i in range(25)], schema=QRELS, orient="row")
    return kept(), [choice(part, relevant) for part in parts], report


def test_each_direction_has_negatives_of_its_own(workspace):
    found, wanted, report = run(workspace, "each")
    assert found == wanted
    assert found[0] != found[1]
    assert list(report["window"]["directions"]) == ["en-en", "en-ko", "ko-en", "ko-ko"]


def test_a_fixed_direction_gives_its_passages_to_all(workspace):
    found, wanted, report = run(workspace, "ko-en")
    assert found == [wanted[2]] * 4
    assert list(report["window"]["directions"]) == ["ko-en"]


def test_the_stage_reads_written_negatives_and_makes_a_round_trip_in_each_direction(workspace):
    plain, _, report = run(workspace, "each")
    assert not {"written", "round_trip"} & set(report["window"]["directions"]["ko-en"])
    workspace.tables("synthetic", qrels=[("q03", "p09", 0), ("q03", "p03", 0), ("q04", "p05", 0)])
    workspace.run("negatives")
    assert kept() == plain  # both off: what is judged changes nothing
    workspace.edit(negatives__window__written=True).run("negatives")
    for direction, before in zip(kept(), plain, strict=True):
        assert direction["q04"][0] == "p05"
        assert {q: n for q, n in direction.items() if q not in ("q03", "q04")} == {
            q: n for q, n in before.items() if q not in ("q03", "q04")
        }
    workspace.edit(negatives__window__written=False, negatives__window__round_trip=5).run("negatives")
    ranked = tables.read("data/candidates/ranked.parquet", CANDIDATES)
    report = json.loads((workspace.path / "metrics/negatives.json").read_text())["window"]
    dropped = {}
    for (q, c), found, before in zip(DIRECTIONS, kept(), plain, strict=True):
        first = dict(ranked.filter(query_lang=q, corpus_lang=c).select("query", "candidates").iter_rows())
        wanted = [query for query in before if query.replace("q", "p") in [POOL[n] for n in first[query][:5]]]
        assert found == {query: before[query] for query in wanted}
        dropped[f"{q}-{c}"] = 25 - len(wanted)
    assert {name: counts["round_trip"] for name, counts in report["directions"].items()} == dropped
    assert len(set(dropped.values())) > 1


def test_settings_that_leave_nothing_are_told(workspace):
    run(workspace, "each")
    workspace.edit(negatives__window__min_score=2.0)
    with pytest.raises(UserError, match=r"negatives\.window leaves no query 3 negatives"):
        workspace.run("negatives")
