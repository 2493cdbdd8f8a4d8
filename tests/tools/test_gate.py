"""gate: what one commit loses against another, beyond noise and tolerance."""

import copy
import json
import sys

import numpy as np
import polars as pl
import pytest
import yaml

from stages.schemas.scores import QUERY_SCORES
from stages.shared import tables
from stages.shared.errors import UserError
from tests.tools import test_experiments, test_seeds
from tools import gate

TOLERANCE = {"mono": 0.01, "cross": 0.01, "multi": 0.01, "bias": 5.0}
GATE = {"tolerance": TOLERANCE, "metrics": {}}


def built(folder, shift=0.1, change=None, **params):
    """A folder as of `tools.seeds`, with the values of `koenen` as `change` makes them of the table."""
    test_seeds.saved(folder, 1, shift, **{"gate": GATE} | params)
    if change:
        file = folder / "data/scores/koenen.parquet"
        tables.write(change(pl.read_parquet(file)), file, QUERY_SCORES)
    return folder


@pytest.fixture
def before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(gate, "RECORDS", tmp_path / ".state/gate")
    return built(tmp_path / "before")


def run(monkeypatch, capsys, against, rev):
    """Whether the gate passed, its table's rows as cells, and the lines of the page."""
    monkeypatch.setattr(sys, "argv", ["gate", "--against", str(against), "--rev", str(rev)])
    passed = True
    try:
        gate.main()
    except SystemExit as end:
        assert end.code == 1
        passed = False
    page = capsys.readouterr().out.splitlines()
    assert page[0] == f"## Gate: {'passed' if passed else 'failed'}"
    table = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page if line.startswith("|")]
    return passed, table[2:], page


def shifted(tasks, by, metric="ndcg@10"):
    """Each query of koenen has `by` more in `tasks` by `metric`, and a third of them twice that."""
    twice = pl.col("query").str.tail(1).is_in(["0", "3", "6", "9"])
    more = pl.when(twice).then(2 * by).otherwise(by)
    hit = pl.col("task").is_in(tasks) & (pl.col("metric") == metric)
    return lambda table: table.with_columns(value=pl.when(hit).then(pl.col("value") + more).otherwise(pl.col("value")))


def test_equal_results_pass(before, tmp_path, monkeypatch, capsys):
    passed, rows, page = run(monkeypatch, capsys, before, built(tmp_path / "after"))
    assert passed and not rows
    # Two models; three groups on two benchmarks, and bias on one of them.
    assert "of 14 comparisons none is significantly worse" in page[2] and "in 14 no query differs" in page[2]
    assert page[-1] == "- params are the same"


def test_a_significant_drop_beyond_tolerance_fails(before, tmp_path, monkeypatch, capsys):
    after = built(tmp_path / "after", change=shifted(["en-ko"], -0.02), train={"steps": 9, "lora": None})
    passed, rows, page = run(monkeypatch, capsys, before, after)
    assert not passed and "2 of 14 comparisons are significantly worse" in page[2]
    assert [row[:4] + row[-2:] for row in rows] == [
        [benchmark, "koenen", "Cross", "ndcg@10 x 100", "1", "**worse**"] for benchmark in ("dev", "test")
    ]
    # Twelve of thirty queries lose 4 points and the others 2.
    assert rows[0][4] == "-2.80" and rows[0][5].startswith("-3.") and float(rows[0][6]) < 1e-9
    assert "- `train.steps`: 8 → 9" in page


def test_a_drop_within_tolerance_and_a_gain_pass(before, tmp_path, monkeypatch, capsys):
    def change(table):
        return shifted(["en-en"], 0.02)(shifted(["en-ko"], -0.006)(table))

    passed, rows, _ = run(monkeypatch, capsys, before, built(tmp_path / "after", change=change))
    assert passed
    assert {(row[2], row[4], row[-1]) for row in rows} == {
        ("Cross", "-0.84", "worse, tolerated"),
        ("Mono", "+2.80", "better"),
    }
    strict = copy.deepcopy(GATE)
    strict["tolerance"]["cross"] = 0.008
    assert not run(monkeypatch, capsys, before, built(tmp_path / "strict", change=change, gate=strict))[0]


def test_a_great_drop_of_few_queries_is_no_sure_one(before, tmp_path, monkeypatch, capsys):
    """One in thirty loses all, which is three points of the mean."""
    one = pl.when(pl.col("query") == "q5").then(pl.col("value") - 0.9).otherwise(pl.col("value"))
    passed, rows, _ = run(
        monkeypatch, capsys, before, built(tmp_path / "after", change=lambda t: t.with_columns(value=one))
    )
    assert passed and rows[0][4] == "-3.00" and {row[-1] for row in rows} == {"not significant"}


def test_a_rise_of_bias_is_a_drop(before, tmp_path, monkeypatch, capsys):
    for by, verdict in ((4.0, "**worse**"), (2.0, "worse, tolerated"), (-4.0, "better")):
        after = built(tmp_path / f"after{by}", change=shifted(["en-*"], by, "language_bias"))
        passed, rows, _ = run(monkeypatch, capsys, before, after)
        assert passed == (by != 4.0)
        # 1.4 times as much on the mean.
        assert [row[1:5] + row[-1:] for row in rows] == [["koenen", "Bias", "ranks", f"{1.4 * by:+.2f}", verdict]]


def test_last_digits_fail_nothing_even_without_tolerance(before, tmp_path, monkeypatch, capsys):
    """Values that differ by what another processor's sums do; and ranks that such a sum turned around now and then."""
    strict = {"tolerance": dict.fromkeys(TOLERANCE, 0.0), "metrics": {}}
    after = built(tmp_path / "a", change=lambda t: t.with_columns(pl.col("value") - 1e-9), gate=strict)
    passed, rows, _ = run(monkeypatch, capsys, before, after)
    assert passed and not rows
    for seed in range(5):
        noise = np.random.default_rng(seed)

        def turned(table, noise=noise):
            hit = noise.random(table.height) < 0.05
            return table.with_columns(value=pl.col("value") + hit * noise.normal(scale=0.1, size=table.height))

        after = built(tmp_path / f"b{seed}", change=turned, gate=strict)
        passed, rows, _ = run(monkeypatch, capsys, before, after)
        assert passed and rows


def test_other_metrics_have_tolerances_of_their_own(before, tmp_path, monkeypatch, capsys):
    def more(table):
        return pl.concat([table, table.filter(metric="ndcg@10").with_columns(metric=pl.lit("recall@100"))])

    def less(table):
        return shifted(["en-en"], -0.02, "recall@100")(more(table))

    old = built(tmp_path / "old", change=more)
    assert run(monkeypatch, capsys, old, built(tmp_path / "ungated", change=less))[0]
    for tolerance, passes in ((0.05, True), (0.02, False)):
        groups = dict.fromkeys(("mono", "cross", "multi"), tolerance)
        own = {"tolerance": TOLERANCE, "metrics": {"recall@100": groups}}
        passed, rows, _ = run(monkeypatch, capsys, old, built(tmp_path / f"new{tolerance}", change=less, gate=own))
        assert passed == passes and {row[3] for row in rows} == {"recall@100 x 100"}


def test_what_one_of_the_two_lacks_is_said_and_not_compared(before, tmp_path, monkeypatch, capsys):
    after = built(tmp_path / "after", change=lambda t: t.filter(pl.col("query") != "q7"))
    for file, name in (("metrics/models/{}.json", "new"), ("data/scores/{}.parquet", "new")):
        (after / file.format(name)).write_bytes((after / file.format("koenen")).read_bytes())
    (after / "data/scores/base.parquet").write_bytes((after / "data/scores/koenen.parquet").read_bytes())
    summary = {"test": {"new": {}, "koenen": {}}, "fresh": {"new": {}}}
    (after / "metrics/summary.json").write_text(json.dumps(summary))
    params = yaml.safe_load((after / "params.yaml").read_text())
    params["benchmarks"]["fresh"] = params["benchmarks"].pop("dev")
    (after / "params.yaml").write_text(yaml.safe_dump(params))
    passed, rows, page = run(monkeypatch, capsys, before, after)
    assert passed and not rows
    assert {"- new models: new", "- removed models: base", "- new benchmarks: fresh", "- removed benchmarks: dev"} <= {
        *page
    }
    assert "- removed queries on test: 1 in en-*, en-en, en-ko" in page
    more = {"tolerance": TOLERANCE, "metrics": {"map@5": dict.fromkeys(("mono", "cross", "multi"), 0.0)}}
    _, _, page = run(monkeypatch, capsys, before, built(tmp_path / "more", gate=more))
    assert "- not compared on test: map@5, of which the two have no query in common" in page


def test_a_commit_is_compared_from_the_cache_of_dvc(tmp_path, monkeypatch, capsys):
    """And what was found of one is kept; without its values, how to get them is said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "RECORDS", tmp_path / "kept")
    study = test_experiments.Study(tmp_path, monkeypatch)
    study.git("init", "-q", "-b", "main")
    study.file("dvc.yaml", yaml.safe_dump({"stages": {"score": {"cmd": "true", "outs": ["data/scores"]}}}))
    study.file(".gitignore", "/data\n/.dvc/cache\n/.dvc/tmp\n/kept\n")
    study.file(".dvc/config", "[core]\n    analytics = false\n")
    study.commit(stages=study.measured(shift=0.1), gate=GATE)
    first = study.git("rev-parse", "HEAD")
    study.commit(stages=study.measured(shift=0.02), gate=GATE)
    passed, rows, _ = run(monkeypatch, capsys, first, "main")
    second = study.git("rev-parse", "HEAD")
    # 0.08 in en-en and 0.16 in ko-ko, of which Mono is the mean; by all queries alike.
    assert not passed and [row[:5] for row in rows] == [["test", "koenen", "Mono", "ndcg@10 x 100", "-12.00"]]
    assert gate.verdict(second) == {"against": first, "passed": False} and gate.verdict(first) is None
    for file in (tmp_path / ".dvc/cache").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(UserError, match=r"is in neither DVC's cache nor its remote .*git worktree add \.\./before"):
        run(monkeypatch, capsys, first, "main")
    with pytest.raises(UserError, match="nowhere is no commit of this repository and no folder"):
        run(monkeypatch, capsys, "nowhere", "main")
