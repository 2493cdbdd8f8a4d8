"""seeds: a study over several seeds, of experiments or saved folders."""

import copy
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from stages import score
from stages.schemas.scores import QUERY_SCORES
from stages.shared import tables
from stages.shared.errors import UserError
from stages.shared.tasks import task_groups
from tests.tools import test_experiments
from tools import seeds

PARAMS = test_experiments.PARAMS
PARAMS = PARAMS | {
    "benchmarks": {"dev": {"source": "held-out"}, "test": {"source": "held-out"}},
    "compare": PARAMS["compare"] | {"confidence": 0.95},
}
TASKS = ("en-en", "en-ko", "en-*")


def saved(folder, seed, shift, lock=None, **changes):
    """What was built of `seed`, where `koenen` has about `shift` more than `base` in each task, and half its bias."""
    params = copy.deepcopy(PARAMS) | {"seed": seed} | changes
    (folder / "metrics").mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    if lock:
        (folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    summary = {benchmark: {"base": {}, "koenen": {}} for benchmark in ("dev", "test")}
    tables.write_json(summary, folder / "metrics/summary.json")
    for model, more in (("base", 0.0), ("koenen", shift)):
        rows = [
            (benchmark, task, f"q{i}", "ndcg@10", 0.2 + i % 7 / 20 + more * (1 + i % 3 / 10))
            for benchmark in ("dev", "test")
            for task in TASKS
            for i in range(30)
        ]
        bias = 10.0 if model == "base" else 5.0
        rows += [("test", "en-*", f"q{i}", "language_bias", bias + (i + seed) % 4) for i in range(30)]
        values = pl.DataFrame(rows, QUERY_SCORES, orient="row")
        tables.write(values, folder / f"data/scores/{model}.parquet", QUERY_SCORES)
        tables.write_json(score.summary(values, task_groups(["en", "ko"])), folder / f"metrics/models/{model}.json")
    return folder


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Folders of three seeds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return [str(saved(tmp_path / f"s{seed}", seed, shift)) for seed, shift in ((3, 0.1), (1, 0.11), (2, 0.12))]


def run(monkeypatch, capsys, *arguments):
    """The lines of a printed table, as cells, after its title."""
    monkeypatch.setattr(sys, "argv", ["seeds", *map(str, arguments)])
    seeds.main()
    title, _, header, _, *lines = capsys.readouterr().out.splitlines()
    return title, *([cell.strip() for cell in line.strip("|").split(" | ")] for line in (header, *lines))


def test_a_table_has_the_mean_and_deviation_over_seeds(three, monkeypatch, capsys):
    title, header, base, koenen = run(monkeypatch, capsys, "table", "--from", *three)
    # The benchmark on which models are chosen is left out.
    assert title == "test: ndcg@10 x 100, mean ± deviation over seeds 1, 2, 3"
    assert header == ["model", *TASKS, "mono", "cross", "multi", "bias", "median bias"]
    trees = [json.loads(Path(folder, "metrics/models/koenen.json").read_text())["test"] for folder in three]
    means = [100 * tree["cross"]["ndcg@10"] for tree in trees]
    assert koenen[5] == f"{statistics.fmean(means):.1f} ± {statistics.stdev(means):.1f}" != base[5]
    gaps = [tree["language_bias"] for tree in trees]
    assert koenen[7] == f"{statistics.fmean(gaps):.1f} ± {statistics.stdev(gaps):.1f}"
    assert run(monkeypatch, capsys, "table", "--from", *three, "--benchmark", "dev")[0].startswith("dev: ")


def test_a_row_without_language_bias_has_a_dash(three, monkeypatch, capsys):
    for folder in three:
        file = Path(folder, "metrics/models/koenen.json")
        tree = json.loads(file.read_text())
        del tree["test"]["language_bias"], tree["test"]["language_bias_median"]
        file.write_text(json.dumps(tree))
    _, _, base, koenen = run(monkeypatch, capsys, "table", "--from", *three)
    assert koenen[7:] == ["-", "-"] and "-" not in base


def test_a_claim_holds_where_every_seed_agrees_and_the_corrected_p_is_small(three, monkeypatch, capsys):
    words = ("compare", "koenen", "base", "base", "koenen", "--group", "cross", "bias", "en-ko", "--from", *three)
    title, header, *rows = run(monkeypatch, capsys, *words)
    assert "p corrected by holm over these rows" in title and header[-1] == "holds"
    assert [(row[1], row[2], row[-1]) for row in rows] == [
        ("koenen better than base", "cross", "yes"),
        ("base better than koenen", "cross", "the reverse"),
        # Less bias is better.
        ("koenen better than base", "bias", "yes"),
        ("base better than koenen", "bias", "the reverse"),
        ("koenen better than base", "en-ko", "yes"),
        ("base better than koenen", "en-ko", "the reverse"),
    ]
    # The mean of i % 3 / 10 is 0.1.
    assert rows[0][3] == "+12.1 ± 1.1" and rows[0][5:7] == ["3 of 3", "3"]
    assert rows[2][3] == "-5.0 ± 0.0"


def test_one_seed_that_disagrees_is_no_claim(three, tmp_path, monkeypatch, capsys):
    more = saved(tmp_path / "s4", 4, -0.001)
    _, _, row = run(monkeypatch, capsys, "compare", "koenen", "base", "--group", "mono", "--from", *three, more)
    assert (row[5], row[-1]) == ("3 of 4", "no")


def test_what_cannot_be_compared_is_one_sentence(three, tmp_path, monkeypatch, capsys):
    def refused(match, *arguments):
        with pytest.raises(UserError, match=match):
            run(monkeypatch, capsys, *arguments)

    pair = ("compare", "koenen", "base")
    refused("there is seed 3 alone", *pair, "--from", three[0])
    refused("3 models are no pairs", *pair, "koenen", "--from", *three)
    refused("the study has no model kokoko: it has base, koenen", "compare", "koenen", "kokoko", "--from", *three)
    refused("--benchmark own: the study has dev, test", "table", "--from", *three, "--benchmark", "own")
    refused("--group en-fr: write mono, cross, multi, bias or a task", *pair, "--group", "en-fr", "--from", *three)
    refused("no such tasks are measured: --group ko-en", *pair, "--group", "ko-en", "--from", *three)
    refused("map@5 was not scored on test, but ndcg@10", "table", "--metric", "map@5", "--from", *three)
    refused("map@5 was not scored", *pair, "--metric", "map@5", "--group", "mono", "--from", *three)
    again = saved(tmp_path / "again", 1, 0.1)
    refused("s1 and .*again are both of seed 1", "table", "--from", *three, again)
    other = saved(tmp_path / "other", 4, 0.1, train={"steps": 9, "lora": None})
    refused(r"differ in more than the seed \(train.steps\)", "table", "--from", *three, other)
    shutil.rmtree(tmp_path / "s2/data")
    refused("s2 lacks data/scores/base.parquet: copy it there", *pair, "--from", *three)
    (tmp_path / "s2/metrics/summary.json").unlink()
    refused("s2 lacks metrics/summary.json: copy it there", "table", "--from", *three)
    refused("there is no commit here", "table")


def lock(seed, code="a"):
    deps = [{"path": "stages/compare.py", "md5": code}]
    return {"stages": {"compare": {"deps": deps, "params": {"params.yaml": {"seed": seed}}}}}


def test_folders_of_other_code_or_built_in_part_are_refused(tmp_path, monkeypatch, capsys, caplog):
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    one, two = (saved(tmp_path / f"s{seed}", seed, 0.1, lock(seed)) for seed in (1, 2))
    run(monkeypatch, capsys, "table", "--from", one, two)
    assert not caplog.records
    three = saved(tmp_path / "s3", 3, 0.1, lock(3, "b"))
    with pytest.raises(UserError, match=r"s3 and .*s1 have the same settings, but are of other code or data"):
        run(monkeypatch, capsys, "table", "--from", one, two, three)
    four = saved(tmp_path / "s4", 4, 0.1, lock(3))
    with pytest.raises(UserError, match=r"the results in .*s4 are not those of its params\.yaml"):
        run(monkeypatch, capsys, "table", "--from", one, four)
    run(monkeypatch, capsys, "table", "--from", one, saved(tmp_path / "s5", 5, 0.1))
    assert "s5 has no dvc.lock: that its results are of its params.yaml is taken on trust" in caplog.text


def test_saved_seeds_are_read_as_those_they_were_saved_from(three, tmp_path, monkeypatch, capsys):
    before = run(monkeypatch, capsys, "table", "--from", *three)
    monkeypatch.setattr(sys, "argv", ["seeds", "save", "kept", "--from", *three])
    seeds.main()
    kept = sorted((tmp_path / "kept").iterdir())
    assert [folder.name for folder in kept] == ["seed-1", "seed-2", "seed-3"]
    assert run(monkeypatch, capsys, "table", "--from", *kept) == before
    words = ("compare", "koenen", "base", "--from")
    assert run(monkeypatch, capsys, *words, *kept) == run(monkeypatch, capsys, *words, *three)


def test_experiments_are_seeds_and_a_workspace_alone_is_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    study = test_experiments.Study(tmp_path, monkeypatch)
    study.git("init", "-q", "-b", "main")
    study.commit(base__name="none")
    for name in ("params.yaml", "dvc.lock"):
        (tmp_path / name).unlink()
    shutil.rmtree(tmp_path / "metrics")
    with pytest.raises(UserError, match="there are no results here: queue seeds"):
        run(monkeypatch, capsys, "table")
    subprocess.run(["git", "checkout", "-q", "."], check=True)
    study.experiment("a", seed=1, stages=study.measured(0.1))
    study.experiment("b", seed=2, stages=study.measured(0.2))
    title, _, _, koenen = run(monkeypatch, capsys, "table", "--benchmark", "test")
    assert title == "test: ndcg@10 x 100, mean ± deviation over seeds 1, 2"
    assert koenen == ["koenen", "43.5 ± 7.1", "58.5 ± 14.1", "51.0 ± 10.6"]
    study.experiment("c", seed=3, train__steps=9, stages=study.measured(0.2))
    with pytest.raises(UserError, match=r"a and c differ in more than the seed \(train.steps\)"):
        run(monkeypatch, capsys, "table", "--benchmark", "test")


def test_a_table_of_the_queries_about_a_domain(three, capsys, monkeypatch):
    for folder, more in zip(map(Path, three), (0.0, 0.1, 0.2), strict=True):
        rows = [f"science,base,9,{0.4 + more},,,3.0", "science,koenen,9,0.5,,,2.0", "*,base,30,0.1,,,1.0"]
        (folder / "metrics/tables/domains").mkdir(parents=True)
        (folder / "metrics/tables/domains/test.csv").write_text(
            "\n".join(["domain,model,queries,mono,cross,multi,language_bias", *rows]) + "\n"
        )
    title, header, *rows = run(monkeypatch, capsys, "table", "--domain", "science", "--from", *three)
    assert title == "test, science: ndcg@10 x 100, mean ± deviation over seeds 1, 2, 3"
    assert header == ["model", "mono", "bias"] and rows[0] == ["base", "50.0 ± 10.0", "3.0 ± 0.0"]
    with pytest.raises(UserError, match=r"--domain art: test has science, \*"):
        run(monkeypatch, capsys, "table", "--domain", "art", "--from", *three)
