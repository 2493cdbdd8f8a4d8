"""The page: whole, safe, the same each time, and what it says first."""

import json
from pathlib import Path

from stages.report.__main__ import main
from tests.report.conftest import cells, edit, page, write


def test_the_page_stands_alone(study):
    text, reader = page()
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert not reader.seen & {"script", "link", "img", "iframe", "object"}
    assert not [a for a in reader.attributes if a[1] == "src" or (a[1] == "href" and not a[2].startswith("#"))]
    assert str(study) not in text and "/somewhere" not in text


def test_links_and_labels_lead_somewhere_and_ids_are_unique(study):
    _, reader = page()
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {value.lstrip("#") for _, name, value in reader.attributes if name in ("href", "aria-labelledby")}
    assert wanted <= set(ids)


def test_the_page_by_label_is_whole(by_label):
    text, reader = page()
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {value.lstrip("#") for _, name, value in reader.attributes if name in ("href", "aria-labelledby")}
    assert wanted <= set(ids) and "by-label" in wanted
    assert "{" not in text.split("</style>")[1]


def test_the_title_is_escaped(study):
    text, _ = page()
    assert "<h1>A &lt;b&gt;bold&lt;/b&gt; &amp; [careful] study</h1>" in text
    assert "<b>" not in text
    assert Path("metrics/report/tables.md").read_text().startswith(r"# A \<b\>bold\</b\> & \[careful\] study")


def test_the_lead_says_what_was_chosen_and_the_selecting_benchmark_comes_last(study):
    text, _ = page()
    lead = " ".join(text.split('class="lead">')[1].split("</p>")[0].split())
    assert "Of 5 models" in lead and "<code>avg</code> was chosen" in lead
    assert "61.0 Mono (+11.0 against the base, 95 % interval +10.0 to +12.0)" in lead
    assert "not significantly different from <code>both</code>" in lead
    order = [text.index(f'<section id="benchmark-{name}"') for name in ("test", "plain", "dev")]
    assert order == sorted(order)


def test_the_lead_over_the_next_is_said_with_its_error(study):
    text, _ = page()
    ahead = "2.00 ± 1.25 points ahead of both (standard error over queries)"
    lead = " ".join(text.split('class="lead">')[1].split("</p>")[0].split())
    assert f"for each rank of bias: {ahead}. The constraint that Mono be not below that of base surely" in lead
    assert "interval) dropped koenko. On other queries another could have been chosen" in lead
    assert "is <code>both</code>, 0.50 ± 0.10 points ahead of koenen" in lead
    assert f"avg, {ahead}; best single recipe: both, 0.50" in Path("metrics/report/tables.md").read_text()
    assert f"bias: {ahead}; the results" in Path("metrics/report/model_card.md").read_text()
    summary = json.loads(Path("metrics/summary.json").read_text())
    summary["leads"]["chosen_model"]["standard_error"] = 0.01
    write("metrics/summary.json", summary)
    assert "another could have been chosen" not in page()[0]


def test_a_tie_and_a_constraint_are_told_in_words(study):
    constraints = {"bias": {"of": "koenen", "within": 5.0}, "cross": {"of": "base", "within": 0.01}}
    weights = {"mono": 2.0, "cross": 1.0, "multi": 0.0, "bias": 0.0}
    edit(lambda params: params["compare"]["choose"].update(constraints=constraints, weights=weights))
    summary = json.loads(Path("metrics/summary.json").read_text())
    summary["choice"] |= {"best": "both", "tied": ["avg"], "dropped": {"bias": ["base", "koenko"], "cross": []}}
    summary["leads"]["chosen_model"]["lead"] = -0.02
    write("metrics/summary.json", summary)
    page()
    text = Path("metrics/report/tables.md").read_text()
    assert "by the mean of Mono (weight 2) and Cross (weight 1) nDCG@10: avg, 2.00 ± 1.25 points behind both" in text
    assert "that Bias be not above that of koenen by more than 5 ranks dropped base and koenko." in text
    assert "that Cross be not below that of base by more than 1 points dropped no model." in text
    assert "both has the greatest objective, and avg is tied with it (within one standard error) and cheaper." in text


def test_the_threads_of_training_are_said(study):
    assert "1, whatever the machine has" in page()[0]
    record = Path("models/base/encoder.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"max_length": 512}))
    assert "as many as torch took (OMP_NUM_THREADS)" in page()[0]


def test_a_second_run_gives_the_same_bytes(study):
    main()
    first = {f.name: f.read_bytes() for f in Path("metrics/report").iterdir()}
    main()
    assert first == {f.name: f.read_bytes() for f in Path("metrics/report").iterdir()}
    assert set(first) == {"index.html", "tables.md", "model_card.md"}


def test_one_language_one_benchmark_no_merge(study):
    """The least a study can be: nothing has a value beyond Mono, and the only benchmark is the one chosen on."""
    dev = {"source": "held-out", "path": "data/collected", "split": "dev"}
    recipe = {"compositions": ["enenen"], "negatives": "window"}
    edit(lambda p: p.update(languages=["en"], merges={}, recipes={"enenen": recipe}, benchmarks={"dev": dev}))
    write("metrics/contamination.json", {"dev": {"enenen": {"en": {"queries": 0.0}}}})
    counts = {"asked": 3, "no_negatives": 0, "over_share": 0, "queries": 3, "rows": 3}
    trained = {"recipes": {"enenen": {"enenen": counts}}, "queries": {"every_recipe": 3, "any_recipe": 3}}
    write("metrics/trainsets.json", trained)
    leads = {"best_recipe": None, "chosen_model": {"over": "base", "lead": 0.2, "standard_error": None}}
    choice = {"best": "enenen", "tied": [], "dropped": {}, "objective": {}}
    names = {"best_recipe": "enenen", "chosen_model": "enenen"}
    write("metrics/summary.json", names | {"leads": leads, "choice": choice})
    write("metrics/models/enenen.json", {"dev": {"mono": {"ndcg@10": 0.7}}})
    write("metrics/training/enenen.csv", "step,loss\n")
    tradeoff = Path("metrics/tables/tradeoff/dev.csv")
    tradeoff.write_text(
        f"{tradeoff.read_text().splitlines()[0]}\nbase,0.5,,,,base,false,false\nenenen,0.7,,,,recipe,false,true\n"
    )
    write("metrics/tables/tasks/dev.csv", "model,task,value\nbase,en-en,0.5\nenenen,en-en,0.7\n")
    biases = Path("metrics/tables/bias/dev.csv")
    biases.write_text(biases.read_text().splitlines()[0] + "\n")
    tests = Path("metrics/tables/significance/dev.csv")
    tests.write_text(tests.read_text().splitlines()[0] + "\n")
    text, reader = page()
    assert [c[0] for c in cells(reader, "results-dev", "enenen")][1:] == ["70.0", "–", "–", "–", "70.0"]
    assert "every number here flatters the choice" in " ".join(text.split())
    assert "No losses were logged" in text and "There is nothing to compare" in text
