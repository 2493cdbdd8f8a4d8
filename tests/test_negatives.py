"""negatives: against a slow computation, query by query and rank by rank."""

import json
import random

import polars as pl
import pytest

from stages import negatives
from stages.shared import params, tables
from stages.shared.errors import UserError

POOL = pl.Series("passage", [f"p{i:02}" for i in range(40)])


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
        pl.DataFrame(rows, schema=tables.CANDIDATES, orient="row"),
        pl.DataFrame(relevant, schema=tables.JUDGEMENTS, orient="row"),
    )


def drawn(seed):
    """Settings, each filter on or off."""
    rng = random.Random(seed)
    low = rng.randint(1, 10)
    k = rng.randint(1, 4)

    def maybe(values):
        return rng.choice([None, rng.choice(values)])

    return params.Negatives(
        k=k,
        direction="each",
        rank_min=low,
        rank_max=rng.randint(low + k - 1, 20),
        absolute_margin=maybe([0.0, 0.125, 0.5]),
        relative_margin=maybe([0.0, 0.25, 0.5]),
        min_score=maybe([-0.5, 0.0]),
        max_score=maybe([0.5, 0.75]),
        pick=rng.choice(["top", "random"]),
    )


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


@pytest.mark.parametrize("seed", range(60))
def test_what_is_kept_is_what_the_settings_leave(seed):
    (ranked, relevant), settings = made(seed), drawn(seed)
    table, counts = negatives.pick(ranked, POOL, relevant, settings, seed=1)
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


def test_the_mean_scores_reported_are_those_of_what_is_kept():
    ranked, relevant = made(3)
    settings = drawn(3).model_copy(update={"pick": "top", "k": 1, "rank_min": 1, "rank_max": 20})
    table, counts = negatives.pick(ranked, POOL, relevant, settings, seed=1)
    scores, positives = [], []
    for row in ranked.join(table.select("query", "negatives"), on="query").iter_rows(named=True):
        by_name = {POOL[n]: s for n, s in zip(row["candidates"], row["scores"], strict=True)}
        scores += [by_name[name] for name in row["negatives"]]
        positives.append(row["positive_score"])
    assert counts["negative_score"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)
    assert counts["positive_score"] == pytest.approx(sum(positives) / len(positives), abs=1e-5)


OPEN = params.Negatives(
    k=3,
    direction="each",
    rank_min=1,
    rank_max=20,
    absolute_margin=None,
    relative_margin=None,
    min_score=None,
    max_score=None,
    pick="random",
)


def choice(ranked, relevant, seed=1, settings=OPEN):
    return dict(negatives.pick(ranked, POOL, relevant, settings, seed)[0].select("query", "negatives").iter_rows())


def test_a_query_keeps_its_choice_whatever_others_there_are():
    ranked, relevant = made(1)
    alone = choice(ranked.filter(pl.col("query").is_in(["q04", "q11"])).reverse(), relevant)
    assert alone == {q: n for q, n in choice(ranked, relevant).items() if q in ("q04", "q11")}


def test_a_random_choice_changes_with_the_seed_and_favours_no_rank():
    ranked, relevant = made(1, queries=400)
    assert choice(ranked, relevant, 1) != choice(ranked, relevant, 2)
    ranks = [
        row["candidates"].index(int(name[1:])) + 1
        for seed in (1, 2, 3)
        for row in ranked.with_columns(
            pl.Series("negatives", list(choice(ranked, relevant.clear(), seed).values()))
        ).iter_rows(named=True)
        for name in row["negatives"]
    ]
    counts = [ranks.count(r) for r in range(1, 21)]
    # 3600 draws over 20 ranks: 180 each, with a deviation of 13.
    assert min(counts) > 120
    assert max(counts) < 240


def run(workspace, direction):
    names = [f"p{i:02}" for i in range(40)]
    workspace.corpus([(n, "train") for n in names], [(f"q{i:02}", f"p{i:02}") for i in range(25)])
    parts = []
    for seed, (query_lang, corpus_lang) in enumerate([("en", "en"), ("en", "ko"), ("ko", "en"), ("ko", "ko")]):
        parts.append(made(seed)[0].with_columns(query_lang=pl.lit(query_lang), corpus_lang=pl.lit(corpus_lang)))
    tables.write(POOL.to_frame(), "data/candidates/pool.parquet", tables.POOL)
    tables.write(pl.concat(parts), "data/candidates/ranked.parquet", tables.CANDIDATES)
    workspace.edit(negatives__window={**OPEN.model_dump(), "direction": direction}).run("negatives")
    table = tables.read("data/negatives/window.parquet", tables.NEGATIVES)
    report = json.loads((workspace.path / "metrics/negatives.json").read_text())
    relevant = pl.DataFrame([(f"q{i:02}", f"p{i:02}", 1) for i in range(25)], schema=tables.JUDGEMENTS, orient="row")
    wanted = [choice(part, relevant) for part in parts]
    found = [
        dict(table.filter(query_lang=q, corpus_lang=c).select("query", "negatives").iter_rows())
        for q, c in [("en", "en"), ("en", "ko"), ("ko", "en"), ("ko", "ko")]
    ]
    return found, wanted, report


def test_each_direction_has_negatives_of_its_own(workspace):
    found, wanted, report = run(workspace, "each")
    assert found == wanted
    assert found[0] != found[1]
    assert list(report["window"]) == ["en-en", "en-ko", "ko-en", "ko-ko"]


def test_a_fixed_direction_gives_its_passages_to_all(workspace):
    found, wanted, report = run(workspace, "ko-en")
    assert found == [wanted[2]] * 4
    assert list(report["window"]) == ["ko-en"]


def test_settings_that_leave_nothing_are_told(workspace):
    run(workspace, "each")
    workspace.edit(negatives__window__min_score=2.0)
    with pytest.raises(UserError, match=r"negatives\.window leaves no query 3 negatives"):
        workspace.run("negatives")
