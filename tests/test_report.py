"""The report stage on a small study written by hand: what the page, the tables and the card say, and that they are
whole, safe and the same each time."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from stages.report import cells as report_cells
from stages.report import charts, geometry, placement, provenance, render
from stages.report.__main__ import main
from stages.shared.errors import UserError

ROOT = Path(__file__).parents[1]
TITLE = "A <b>bold</b> & [careful] study"
RECIPES = {"koenen": ["koenen"], "koenko": ["koenko"], "both": ["enkoko", "koenen"]}
MODELS = ["base", *RECIPES, "avg"]
BENCHMARKS = ("dev", "test", "plain")
KINDS = {"base": "base", "avg": "merge"}
TASKS = ["en-en", "ko-ko", "en-ko", "ko-en", "en-*", "ko-*"]
# Mono, Cross, Multi and bias by model; avg is the best but for Multi and bias.
MEANS = {
    "base": (0.5, 0.4, 0.3, 50.0),
    "koenen": (0.6, 0.55, 0.45, 20.0),
    "koenko": (0.52, 0.42, 0.2, 90.0),
    "both": (0.58, 0.56, 0.5, 10.0),
    "avg": (0.61, 0.57, 0.48, 15.0),
}
CORPUS = {
    "read": {"memory": 1200, "pages": 30},
    "left_out": {"that are duplicates": 2, "with an <empty> side": 1},
    "noted": {},
    "duplicates": {"en": {"exact": 1, "near": 1}, "ko": {"exact": 0, "near": 2}},
    "passages": {"en": {"train": 1000, "dev": 90, "test": 137}, "ko": {"train": 1000, "dev": 90, "test": 137}},
    "characters": {"en": {"median": 409, "max": 504}, "ko": {"median": 198, "max": 269}},
    "queries": {},
    "shares": {"memory": 0.9, "pages": 0.1},
}
VOID = {"meta", "link", "br", "hr", "img", "input", "rect", "circle", "line", "path", "polyline"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder with params and all that the stage reads; the benchmark `plain` has English only."""
    monkeypatch.chdir(tmp_path)
    loader = YAML()
    params = loader.load((ROOT / "params.yaml").read_text())
    params["report"]["title"] = TITLE
    params["recipes"] = {name: {"compositions": c, "negatives": "window"} for name, c in RECIPES.items()}
    params["merges"] = {"avg": {"method": "linear", "weights": {"koenen": 1.0, "both": 3.0}}}
    params["benchmarks"]["plain"] = {"source": "beir", "path": "/somewhere/else/plain"}
    with Path("params.yaml").open("w") as file:
        loader.dump(params, file)
    write("models/base/encoder.json", {"name": "static", "preset": None, "prompts": {"query": "", "passage": ""}})
    write("data/candidates/teacher.json", {"name": "base"})
    write("metrics/corpus.json", CORPUS)
    contaminated()
    write("metrics/labels.json", {})
    write(
        "metrics/summary.json",
        {"metric": "ndcg@10", "selected_on": "dev", "best_recipe": "both", "chosen_model": "avg"},
    )
    for model in MODELS:
        groups = dict(zip(("mono", "cross", "multi"), MEANS[model], strict=False))
        scores = {group: {"ndcg@10": value, "recall@1": value / 2} for group, value in groups.items()}
        write(f"metrics/models/{model}.json", {"dev": scores, "test": scores, "plain": {"mono": scores["mono"]}})
    for recipe in RECIPES:
        write(f"metrics/training/{recipe}.csv", "step,loss\n4,1.5\n8,0.25\n")
    counts = {"queries": 9, "candidates": 1234, "relevant": 2, "relative_margin": 7, "short": 1, "positive_score": 0.5}
    write("metrics/negatives.json", {"window": {"en-en": counts, "ko-en": {"queries": 0}}})
    kept = {"texts": 40, "script": 1, "parallel": 1, "kept": 38}
    write(
        "metrics/synthesis.json",
        {"requests": {"queries": {"items": 20, "failed": 0}}, "filters": {"queries": kept}, "tokens": {}},
    )
    for benchmark in ("dev", "test", "plain"):
        tables(benchmark, only_mono=benchmark == "plain")
    return tmp_path


@pytest.fixture
def by_label(study):
    """The study with labels on `dev` and on `plain`, which is asked in Hinglish too; avg is better than the others."""
    edit(lambda params: params["benchmarks"]["plain"].update(languages=["en", "hi-Latn"]))
    counts = {"queries": 1200, "labels": 3, "categories": {"cards": 1100, "pay|ments": 100}}
    report = {}
    for benchmark, tasks in (("dev", ["en-en"]), ("plain", ["hi-Latn-en", "en-en"])):
        report[benchmark] = {"tasks": dict.fromkeys(tasks, counts), "models": {}}
        for model in MODELS:
            value = 0.7 if model == "avg" else 0.5
            own = {"accuracy@1": value, "accuracy@3": 0.8, "accuracy@5": 0.9, "mrr": value + 0.1, "macro": value - 0.1}
            own |= {"auroc": 0.75, "ece": 0.05 if model == "avg" else 0.1, "accuracy": 0.45}
            own |= {"answered": 0.6, "precision": 0.75} if model == "avg" else {"answered": None, "precision": None}
            own |= {"categories": {"cards": value, "pay|ments": 0.25}}
            own |= {"bins": [[0.2, 0.25, 0.5], [0.4, 0.75, 1.0]]}
            report[benchmark]["models"][model] = {
                "threshold": 0.6125 if model == "avg" else None,
                "probability": {"slope": 9.0, "intercept": -3.0},
                "tasks": dict.fromkeys(tasks, own),
                "confusions": [["cards/lost", "pay|ments/due", 1234, "mera <card> | kahan?"]] if model == "avg" else [],
            }
    write("metrics/labels.json", report)
    return report


def contaminated(**found):
    """What `contamination` found: `found` {benchmark: {recipe: {lang: {count: share}}}}, else nothing."""
    clean = {f"{kind}{end}": 0.0 for kind in ("queries", "passages") for end in ("", "_exact", "_negative")}
    report = {b: {r: {"en": clean, "ko": clean, "*": clean} for r in RECIPES} for b in ("dev", "test", "plain")}
    for benchmark, by_recipe in found.items():
        for recipe, by_lang in by_recipe.items():
            for lang, shares in by_lang.items():
                report[benchmark][recipe] = report[benchmark][recipe] | {lang: clean | shares}
    write("metrics/contamination.json", report)


def write(name, content):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))


def tables(benchmark, only_mono):
    """The files that `compare` writes of a benchmark."""
    tradeoff = ["model,mono,cross,multi,language_bias,kind,query_negatives_match,pareto"]
    tasks = ["model,task,value"]
    tests = ["group,model,reference,queries,difference,low,high,p,p_corrected,significant"]
    for model in MODELS:
        mono, cross, multi, bias = MEANS[model]
        values = f"{mono},,," if only_mono else f"{mono},{cross},{multi},{bias}"
        front, qnm = str(model == "avg").lower(), str(model == "koenko").lower()
        tradeoff.append(f"{model},{values},{KINDS.get(model, 'recipe')},{qnm},{front}")
        for task in TASKS[:1] if only_mono else TASKS:
            value = multi if "*" in task else mono if task in TASKS[:2] else cross
            tasks.append(f"{model},{task},{value}")
        for reference in ("base", "both"):
            if model != reference:
                gap = round(mono - MEANS[reference][0], 5)
                sure = abs(gap) > 0.05
                p = 1e-05 if sure else 0.5
                tests.append(
                    f"mono,{model},{reference},300,{gap},{gap - 0.01},{gap + 0.01},{p},{p},{str(sure).lower()}"
                )
    for kind, lines in (("tradeoff", tradeoff), ("tasks", tasks), ("significance", tests)):
        write(f"metrics/tables/{kind}/{benchmark}.csv", "\n".join(lines) + "\n")


class Reader(HTMLParser):
    """Checks that tags are balanced; collects tables as rows of (text, is bold), and ids and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.attributes, self.seen = [], {}, [], set()
        self.rows, self.cell, self.table = None, None, None
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "caption":
            self.table = dict(attrs).get("id")
        elif tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = ["", False]
        elif tag == "strong" and self.cell:
            self.cell[1] = True

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())
        if tag in ("td", "th"):
            self.rows[-1].append((" ".join(self.cell[0].split()), self.cell[1]))
            self.cell = None
        elif tag == "table":
            self.tables[self.table] = self.rows

    def handle_data(self, data):
        if self.cell is not None:
            self.cell[0] += data


def page():
    main()
    text = Path("metrics/report/index.html").read_text()
    return text, Reader(text)


def edit(change):
    """Have `change` alter params.yaml."""
    loader = YAML()
    params = loader.load(Path("params.yaml").read_text())
    change(params)
    with Path("params.yaml").open("w") as file:
        loader.dump(params, file)


def cells(reader, table, model):
    return next(row for row in reader.tables[table] if row[0][0].split()[0] == model)


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


def test_every_model_is_in_every_results_table(study):
    _, reader = page()
    for benchmark in ("dev", "test", "plain"):
        rows = reader.tables[f"results-{benchmark}"][2:]
        assert [row[0][0].split()[0] for row in rows] == MODELS


def test_numbers_and_best_values(study):
    _, reader = page()
    assert cells(reader, "results-test", "avg")[1:5] == [
        ("61.0", True),
        ("57.0", True),
        ("48.0", False),
        ("15.0", False),
    ]
    assert cells(reader, "results-test", "both")[1:5] == [
        ("58.0", False),
        ("56.0", False),
        ("50.0", True),
        ("10.0", True),
    ]
    rows = reader.tables["results-test"][2:]
    for column in range(1, len(rows[0])):
        assert [row[column][1] for row in rows].count(True) == 1
    assert [c[0] for c in reader.tables["results-test"][1]] == ["Mono", "Cross", "Multi", "Bias", *TASKS]


def test_models_are_marked(study):
    _, reader = page()
    named = {row[0][0].split()[0]: row[0][0] for row in reader.tables["results-test"][2:]}
    assert named["avg"] == "avg merge chosen Pareto front"
    assert named["koenko"] == "koenko recipe QNM"
    assert named["both"] == "both recipe best recipe"
    assert named["koenen"] == "koenen recipe"


def test_what_a_benchmark_lacks_is_a_dash(study):
    text, reader = page()
    assert cells(reader, "results-plain", "avg")[1:] == [
        ("61.0", True),
        ("–", False),
        ("–", False),
        ("–", False),
        ("61.0", True),
    ]
    assert "tradeoff-plain" not in text and "tradeoff-test" in text
    assert text.count("so there is no trade-off to draw") == 1
    assert (
        "| avg | merge | chosen, Pareto front | **61.0** | – | – | – | **61.0** |"
        in Path("metrics/report/tables.md").read_text()
    )


def test_significance_is_in_words(study):
    _, reader = page()
    assert [c[0] for c in cells(reader, "significance-test", "avg")] == [
        *("avg", "+11.0", "+10.0 to +12.0", "< 0.001", "▲ better"),
        *("+3.0", "+2.0 to +4.0", "0.500", "no"),
    ]
    base = [c[0] for c in cells(reader, "significance-test", "base")]
    assert base[1:5] == ["–"] * 4 and base[8] == "▼ worse"


def test_the_lead_says_what_was_chosen_and_the_selecting_benchmark_comes_last(study):
    text, _ = page()
    lead = " ".join(text.split('class="lead">')[1].split("</p>")[0].split())
    assert "Of 5 models" in lead and "<code>avg</code> was chosen" in lead
    assert "61.0 Mono (+11.0 against the base, 95 % interval +10.0 to +12.0)" in lead
    assert "not significantly different from <code>both</code>" in lead
    order = [text.index(f'<section id="benchmark-{name}"') for name in ("test", "plain", "dev")]
    assert order == sorted(order)


def test_the_title_is_escaped(study):
    text, _ = page()
    assert "<h1>A &lt;b&gt;bold&lt;/b&gt; &amp; [careful] study</h1>" in text
    assert "<b>" not in text
    assert Path("metrics/report/tables.md").read_text().startswith(r"# A \<b\>bold\</b\> & \[careful\] study")


def test_encoders_are_shown_as_they_were_run(study):
    text, _ = page()
    assert "none: it was trained without" in text and "runs without prompts" not in text
    record = {
        "name": "m5",
        "preset": None,
        "revision": "abc123",
        "pooling": "mean",
        "dtype": "float32",
        "padding": None,
    }
    write("models/base/encoder.json", record | {"prompts": {"query": "<q>: ", "passage": ""}})
    write("data/candidates/teacher.json", {"name": "acme/teacher", "preset": "acme/teacher", "prompts": {}})
    text, _ = page()
    section = text.split('<section id="encoders"')[1].split("</section>")[0]
    rows = dict(re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', section))
    assert rows == {
        "name": "acme/teacher",
        "revision": "abc123",
        "pooling": "mean",
        "dtype": "float32",
        "prompt of a query": '<code class="exact">&lt;q&gt;: </code>',
        "prompts": "none: acme/teacher needs none",
    }
    assert section.index("m5") < section.index("acme/teacher") and "runs without prompts" not in text
    card = Path("metrics/report/model_card.md").read_text()
    assert '- query: "\\<q\\>: "' in card and "ranked by `acme/teacher`" not in card
    tables = Path("metrics/report/tables.md").read_text()
    assert "- base: m5, revision abc123, pooling mean, dtype float32; before a query:" in tables


@pytest.mark.parametrize(
    ("role", "prompts", "preset", "note"),
    [
        ("base", None, None, "the model states none, and is not known to need none"),
        ("base", "none", "intfloat/e5", "base.prompts says so"),
        ("base", None, "BAAI/bge", None),
        ("teacher", None, None, "set teacher.prompts"),
        ("teacher", "none", None, "teacher.prompts says so"),
    ],
)
def test_an_encoder_that_may_lack_its_prompts_is_warned_of_at_the_top(study, role, prompts, preset, note):
    edit(lambda params: params[role].update(name="acme/encoder", prompts=prompts))
    file = {"base": "models/base/encoder.json", "teacher": "data/candidates/teacher.json"}[role]
    write(file, {"name": "acme/encoder", "preset": preset, "prompts": {"query": "", "passage": ""}})
    text, _ = page()
    top = text.split("<main>")[0]
    if note is None:
        assert "runs without prompts" not in top and f"none: {preset} needs none" in text
    else:
        assert f"The {role}, <code>acme/encoder</code>, runs without prompts: " in top and note in top
        assert 'class="high">none: ' in text.split('<section id="encoders"')[1]
    if role == "base":
        assert (note or "needs none") in Path("metrics/report/model_card.md").read_text()


def test_what_training_holds_of_the_benchmarks(study):
    text, reader = page()
    assert 'class="warning"' not in text and 'class="high"' not in text
    contaminated(
        test={
            "koenen": {"en": {"queries": 0.011, "passages": 0.00001}, "ko": {"queries": 0.2, "passages_negative": 1.0}},
            "koenko": {"*": {"passages": 0.01}},
        },
        plain={"both": {"*": {"queries": 0.0101}}},
        dev={"both": {"en": {"passages": 0.01}}},
    )
    text, reader = page()
    heads, header, *rows = [[c[0] for c in row] for row in reader.tables["contaminated"]]
    assert heads == ["Recipe", "dev", "test", "plain"] and header == ["queries", "passages", "as negatives"] * 3
    assert rows == [
        ["koenen", *["0"] * 3, "▲ 20.00", "< 0.01", "100.00", *["0"] * 3],
        ["koenko", *["0"] * 3, "0", "1.00", "0", *["0"] * 3],
        ["both", "0", "1.00", "0", *["0"] * 3, "▲ 1.01", "0", "0"],
    ]
    assert text.count('class="high"') == 2
    sections = {name: text.split(f'<section id="benchmark-{name}"')[1].split("</section>")[0] for name in BENCHMARKS}
    assert "Recipes train on up to 20.00 % of its queries and up to 1.00 % of the passages" in sections["test"]
    assert "Recipes train on" in sections["plain"] and "Recipes train on" not in sections["dev"]
    # The chosen merge is of koenen and both.
    card = Path("metrics/report/model_card.md").read_text().split("### plain")
    held = "the model's training sets hold, exactly or nearly and in any language"
    assert f"{held}, 20.00 % of the queries and < 0.01 % of the passages that answer them, so what it" in card[0]
    assert f"{held}, 1.01 % of the queries" in card[1]
    tables = Path("metrics/report/tables.md").read_text()
    assert "| koenen | 0 | 0 | 0 | **20.00** | < 0.01 | 100.00 | 0 | 0 | 0 |" in tables
    assert "| recipe | dev: queries | dev: passages | dev: as negatives | test: queries |" in tables


def test_a_kind_that_a_benchmark_lacks_is_a_dash(study):
    report = json.loads(Path("metrics/contamination.json").read_text())
    report["plain"] = {recipe: {"en": {"queries": 0.5}, "*": {"queries": 0.5}} for recipe in RECIPES}
    write("metrics/contamination.json", report)
    _, reader = page()
    assert [c[0] for c in reader.tables["contaminated"][2]][-3:] == ["▲ 50.00", "–", "–"]


def test_the_card_of_the_base_holds_nothing_of_training(study):
    summary = json.loads(Path("metrics/summary.json").read_text())
    write("metrics/summary.json", summary | {"chosen_model": "base"})
    page()
    card = Path("metrics/report/model_card.md").read_text()
    assert "training sets hold" not in card and "were ranked by" not in card


def test_the_corpus(study):
    text, reader = page()
    section = " ".join(text.split('<section id="corpus"')[1].split("</section>")[0].split())
    assert "Rows read: 1,200 of <code>memory</code>, 30 of <code>pages</code>." in section
    assert "<li>left out: that are duplicates (2)</li>" in section
    assert "<li>left out: with an &lt;empty&gt; side (1)</li>" in section
    heads, header, english, korean = [[c[0] for c in row] for row in reader.tables["passages"]]
    assert heads == ["Language", "Passages", "Characters of a passage", "Repeated texts"]
    assert header == ["train", "dev", "test", "median", "max", "exact", "near"]
    assert english == ["en English", "1,000", "90", "137", "409", "504", "1", "1"]
    assert korean == ["ko Korean", "1,000", "90", "137", "198", "269", "0", "2"]
    assert "Left out: that are duplicates (2)." in Path("metrics/report/tables.md").read_text()
    write("metrics/corpus.json", CORPUS | {"queries": {"ko": 7}})
    _, reader = page()
    assert [row[-1][0] for row in reader.tables["passages"]][1:] == ["queries", "–", "7"]
    write("metrics/corpus.json", {"read": {}, "passages": {}})
    text, reader = page()
    assert "No source was read" in text and "passages" not in reader.tables


def test_each_benchmark_is_shown_by_its_own_metric(study):
    edit(lambda params: params["benchmarks"]["plain"].update(metric="recall@1"))
    text, _ = page()
    sections = {name: text.split(f'<section id="benchmark-{name}"')[1].split("</section>")[0] for name in BENCHMARKS}
    assert "Recall@1 x 100 of every model" in sections["plain"] and "nDCG@10 x 100" not in sections["plain"]
    assert "nDCG@10 x 100 of every model" in sections["test"] and "Recall@1 x 100" not in sections["test"]
    assert "the best mean of Mono and Cross nDCG@10 on <code>dev</code>" in text
    assert "Scores x 100 of avg" in text and "<code>plain</code>, Recall@1" in text
    assert "## plain: Recall@1" in Path("metrics/report/tables.md").read_text()
    card = Path("metrics/report/model_card.md").read_text()
    assert "### plain\n\nRecall@1 x 100" in card and "### test\n\nnDCG@10 x 100" in card
    edit(lambda params: params["benchmarks"].pop("plain"))
    text, _ = page()
    assert "nDCG@10 x 100 of avg" in text


def test_a_benchmark_of_one_cross_lingual_task_in_another_language(study):
    """Chosen on it, there is no Mono to speak of; its language is none of the study's."""
    own = {"source": "hinglish-top", "path": "/somewhere/top", "languages": ["hi-Latn", "en"], "queries": 50}
    edit(lambda params: params["benchmarks"].update(plain=own) or params["compare"].update(select_on="plain"))
    tradeoff = Path("metrics/tables/tradeoff/plain.csv")
    lines = tradeoff.read_text().replace(",,,,", ",,,").splitlines()
    header, *rows = [line.split(",") for line in lines]
    tradeoff.write_text(
        "\n".join([lines[0], *(",".join([m, "", value, "", "", *rest[-3:]]) for m, value, *rest in rows)])
    )
    write("metrics/tables/tasks/plain.csv", "model,task,value\n" + "".join(f"{m},hi-Latn-en,0.5\n" for m in MODELS))
    tests = Path("metrics/tables/significance/plain.csv")
    tests.write_text(tests.read_text().replace("mono,", "cross,"))
    task = {"accuracy@1": 0.5, "accuracy@3": 0.5, "accuracy@5": 0.5, "mrr": 0.5, "macro": 0.5, "auroc": 0.5, "ece": 0.1}
    told = {"threshold": None, "probability": {"slope": 1.0, "intercept": 0.0}, "confusions": []}
    told["tasks"] = {"hi-Latn-en": task | {"answered": None, "precision": None, "bins": []}}
    counts = {"hi-Latn-en": {"queries": 50, "labels": 2}}
    write("metrics/labels.json", {"plain": {"tasks": counts, "models": dict.fromkeys(MODELS, told)}})
    text, reader = page()
    _, header, *rows = [[c[0] for c in row] for row in reader.tables["results-plain"]]
    assert header == ["Mono", "Cross", "Multi", "Bias", "hi-Latn-en"]
    assert rows[-1][1:] == ["–", "61.0", "–", "–", "50.0"]
    assert [c[0] for c in reader.tables["compositions-plain"][1]] == ["query", "positive", "negatives", "hi-Latn-en"]
    assert "the best Cross nDCG@10 on <code>plain</code>" in text
    assert "tradeoff-plain" not in text
    assert (
        "Source: Hinglish-TOP in top, where a passage answers if it has the query&#39;s label, a sample of 50 queries."
        in text
    )


def test_by_label_shows_every_model_and_task(by_label):
    text, reader = page()
    section = text.split('<section id="by-label"')[1].split("</section>")[0]
    heads, header, *rows = [[c[0] for c in row] for row in reader.tables["label-plain-1"]]
    assert heads == ["Model", "Entries of the label", "Top score", "With a threshold"]
    assert header == ["R@1", "R@3", "R@5", "MRR", "Macro", "AUROC", "ECE", "Threshold", "Answered", "Precision"]
    assert [row[0].split()[0] for row in rows] == MODELS
    assert rows[0][1:] == ["50.0", "80.0", "90.0", "60.0", "40.0", "75.0", "10.0", "–", "–", "–"]
    assert cells(reader, "label-plain-1", "avg")[1:] == [
        *(("70.0", True), ("80.0", True), ("90.0", True), ("80.0", True), ("60.0", True), ("75.0", True)),
        *(("5.0", True), ("0.6125", False), ("60.0", False), ("75.0", False)),
    ]
    assert "plain, en-en: 1,200 English queries of 3 labels on English entries." in section
    assert "plain, hi-Latn-en: 1,200 Hindi (Latin) queries" in section
    assert section.index("label-plain-1") < section.index("label-dev-1") and "label-test-1" not in section
    assert "at least 90 % of the answers are right" in section
    assert section.count("so the numbers of score and threshold flatter every model") == 1
    # What is by label is told by its results, not by its kind of source.
    source = "Source: the collection&#39;s dev split, where a passage answers if it has the query&#39;s label."
    assert source in text and text.count("where a passage answers if") == 2


def test_by_label_shows_categories_calibration_and_confusions_of_the_chosen_model(by_label):
    text, reader = page()
    assert [[c[0] for c in row] for row in reader.tables["categories-plain-1"]] == [
        ["Category", "queries", "base", "avg"],
        ["cards", "1,100", "50.0", "70.0"],
        ["pay|ments", "100", "25.0", "25.0"],
    ]
    assert [c[0] for c in reader.tables["confusions-dev"][1]] == [
        *("cards/lost", "pay|ments/due", "1,234", "mera <card> | kahan?"),
    ]
    assert "mera &lt;card&gt;" in text
    drawn = charts.reliability([(0.25, 0.5), (0.75, 1.0)])
    assert text.count(f'<polyline class="curve" points="{drawn.line}"/>') == 3
    tables = Path("metrics/report/tables.md").read_text()
    assert r"| cards/lost | pay\|ments/due | 1,234 | mera \<card\> \| kahan? |" in tables
    assert r"| pay\|ments | 100 | **25.0** | **25.0** |" in tables
    assert "## plain by label: hi-Latn-en" in tables and "## dev (used for choosing) by label: en-en" in tables
    assert "| avg | merge | chosen, Pareto front | **70.0** |" in tables


def test_the_page_by_label_is_whole(by_label):
    text, reader = page()
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {value.lstrip("#") for _, name, value in reader.attributes if name in ("href", "aria-labelledby")}
    assert wanted <= set(ids) and "by-label" in wanted
    assert "{" not in text.split("</style>")[1]


def test_the_card_says_how_to_answer(by_label):
    page()
    card = Path("metrics/report/model_card.md").read_text()
    assert 'python -m tools.answer --model models/merged/avg --threshold 0.6125 "..."' in card
    assert "at which 90 % of the answers or more were right on `dev`" in card
    assert "| plain | hi-Latn-en | 70.0 | 60.0 | 75.0 |" in card and "| dev | en-en |" not in card
    summary = json.loads(Path("metrics/summary.json").read_text())
    write("metrics/summary.json", summary | {"chosen_model": "base"})
    text, _ = page()
    card = Path("metrics/report/model_card.md").read_text()
    assert 'tools.answer --model models/base "..."' in card and "No threshold was found at which 90 %" in card
    assert "confusions-dev" not in text


def test_models_chosen_without_labels_have_no_threshold(by_label):
    for told in by_label["plain"]["models"].values():
        told["threshold"] = told["probability"] = None
        for own in told["tasks"].values():
            own |= {"ece": None, "answered": None, "precision": None, "bins": [[0.2, None, 0.5]]}
    write("metrics/labels.json", {"plain": by_label["plain"]})
    text, reader = page()
    assert "<code>dev</code> is not by label, so there are neither maps" in text and "logistic map" not in text
    assert [c[0] for c in cells(reader, "label-plain-2", "avg")][6:] == ["75.0", "–", "–", "–", "–"]
    assert "reliability-plain" not in text and "categories-plain-1" in text
    assert "No threshold was chosen, since `dev` is not by label." in Path("metrics/report/model_card.md").read_text()


def test_a_study_without_labels_says_nothing_of_them(study):
    text, _ = page()
    assert "by-label" not in text and "By label" not in text and "query&#39;s label" not in text
    assert "tools.answer" not in Path("metrics/report/model_card.md").read_text()
    assert "by label" not in Path("metrics/report/tables.md").read_text()


def test_the_share_of_synthetic_queries(study):
    _, reader = page()
    assert [c[0] for c in reader.tables["recipes"][0]] == ["Recipe", "Compositions", "Negatives"]
    edit(lambda params: params["recipes"]["both"].update(synthetic=0.3))
    _, reader = page()
    rows = [[c[0] for c in row] for row in reader.tables["recipes"]]
    assert rows[0][3] == "Synthetic queries" and [row[3] for row in rows[1:]] == [
        "as they come",
        "as they come",
        "30 %",
    ]


def test_the_table_of_written_texts_shows_what_was_kept(study):
    _, reader = page()
    header, row = reader.tables["written"]
    assert [c[0] for c in header] == ["Job", "items", "failed", "texts", "script", "parallel", "kept"]
    assert [c[0] for c in row] == ["queries", "20", "0", "40", "1", "1", "38"]
    write("metrics/synthesis.json", {"requests": {}, "filters": {}, "tokens": {}})
    text, reader = page()
    assert "written" not in reader.tables and "synthesis" not in text


def test_negatives_table_shows_what_was_dropped(study):
    _, reader = page()
    header, full, empty = reader.tables["dropped"]
    assert [c[0] for c in header][2:5] == ["queries", "candidates", "relevant"]
    assert [c[0] for c in full] == ["window", "en-en", "9", "1,234", "2", "7", "1", "0.500"]
    assert [c[0] for c in empty] == ["window", "ko-en", "0", *["–"] * 5]


def test_strategies_by_labels_are_explained_where_there_are_some(study):
    text, _ = page()
    assert "strategy by labels" not in text
    counts = {"queries": 9, "similarity": 0.5, "similarity_at_random": 0.25, "unlabelled": 0}
    write("metrics/negatives.json", {"mixed": {"ko-en": counts}})
    text, reader = page()
    assert "strategy by labels" in text
    assert [c[0] for c in reader.tables["dropped"][1]] == ["mixed", "ko-en", "9", "0.500", "0.250", "0"]


def test_compositions_are_the_recipes_of_one(study):
    _, reader = page()
    rows = [[c[0] for c in row] for row in reader.tables["compositions-test"]]
    assert [row[:4] for row in rows[2:]] == [["koenen", "ko", "en", "en"], ["koenko", "ko", "en", "ko"]]


def test_a_second_run_gives_the_same_bytes(study):
    main()
    first = {f.name: f.read_bytes() for f in Path("metrics/report").iterdir()}
    main()
    assert first == {f.name: f.read_bytes() for f in Path("metrics/report").iterdir()}
    assert set(first) == {"index.html", "tables.md", "model_card.md"}


def test_the_card(study):
    main()
    _, front, body = Path("metrics/report/model_card.md").read_text().split("---\n", 2)
    matter = yaml.safe_load(front)
    assert matter["language"] == ["en", "ko"]
    assert matter["library_name"] == "sentence-transformers" and matter["pipeline_tag"] == "sentence-similarity"
    assert "merge" in matter["tags"] and "base_model" not in matter
    assert 'SentenceTransformer("models/merged/avg")' in body
    assert "- 25 % `koenen`: Korean queries, English positives, English negatives" in body
    assert "- 75 % `both`" in body
    assert "| Mono | 50.0 | 61.0 | +11.0 (+10.0 to +12.0) | +3.0 (+2.0 to +4.0) |" in body
    assert "ignores the order of words" in body
    assert "### test" in body and "### plain" in body and "### dev" not in body


@pytest.mark.parametrize(("name", "folder"), [("base", "models/base"), ("koenen", "models/trained/koenen")])
def test_the_card_of_other_models_of_a_hub_base(study, name, folder):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("name: static", "name: acme/encoder"))
    summary = json.loads(Path("metrics/summary.json").read_text())
    write("metrics/summary.json", summary | {"chosen_model": name})
    page()
    card = Path("metrics/report/model_card.md").read_text()
    assert yaml.safe_load(card.split("---\n")[1])["base_model"] == "acme/encoder"
    assert f'SentenceTransformer("{folder}")' in card
    assert "ignores the order of words" not in card


def test_one_language_one_benchmark_no_merge(study):
    """The least a study can be: nothing has a value beyond Mono, and the only benchmark is the one chosen on."""
    dev = {"source": "held-out", "path": "data/corpus", "split": "dev"}
    recipe = {"compositions": ["enenen"], "negatives": "window"}
    edit(lambda p: p.update(languages=["en"], merges={}, recipes={"enenen": recipe}, benchmarks={"dev": dev}))
    write("metrics/contamination.json", {"dev": {"enenen": {"en": {"queries": 0.0}}}})
    write("metrics/summary.json", {"best_recipe": "enenen", "chosen_model": "enenen"})
    write("metrics/models/enenen.json", {"dev": {"mono": {"ndcg@10": 0.7}}})
    write("metrics/training/enenen.csv", "step,loss\n")
    tradeoff = Path("metrics/tables/tradeoff/dev.csv")
    tradeoff.write_text(
        f"{tradeoff.read_text().splitlines()[0]}\nbase,0.5,,,,base,false,false\nenenen,0.7,,,,recipe,false,true\n"
    )
    write("metrics/tables/tasks/dev.csv", "model,task,value\nbase,en-en,0.5\nenenen,en-en,0.7\n")
    tests = Path("metrics/tables/significance/dev.csv")
    tests.write_text(tests.read_text().splitlines()[0] + "\n")
    text, reader = page()
    assert [c[0] for c in cells(reader, "results-dev", "enenen")][1:] == ["70.0", "–", "–", "–", "70.0"]
    assert "every number here flatters the choice" in " ".join(text.split())
    assert "No losses were logged" in text and "There is nothing to compare" in text


def test_what_is_missing_or_stale_is_one_sentence(study):
    Path("metrics/negatives.json").unlink()
    with pytest.raises(UserError, match=r"^metrics/negatives\.json is missing: run `dvc repro`$"):
        main()
    write("metrics/negatives.json", {})
    write("metrics/labels.json", {"test": {"tasks": {}, "models": {"base": {}}}})
    with pytest.raises(UserError, match=r"^metrics/labels\.json says nothing of koenen on test: run `dvc repro`$"):
        main()
    write("metrics/summary.json", {"best_recipe": "both", "chosen_model": "gone"})
    with pytest.raises(UserError, match="names the model 'gone'"):
        main()
    assert not Path("metrics/report").exists()


def test_labels_of_a_crowd_do_not_overlap():
    points = [
        charts.Point(f"model-{i:02}", 70 + math.cos(i) * (i % 4), 60 + math.sin(i) * (i % 3), "recipe", False, i == 3)
        for i in range(15)
    ]
    drawn = charts.scatter(points)
    boxes = []
    for mark in drawn.marks:
        half = len(mark.label.text) * placement.LETTER / 2
        boxes.append(geometry.Box(mark.label.x - half, mark.label.y - 9, mark.label.x + half, mark.label.y + 2))
    shared = sum(box.covers(boxes[:i]) for i, box in enumerate(boxes))
    area = sum((b.right - b.left) * (b.bottom - b.top) for b in boxes)
    assert shared < 0.02 * area
    assert sum(b.outside(geometry.Box(0, 0, drawn.width, drawn.height)) for b in boxes) == 0


def test_boxes_measure_what_they_cover():
    box = geometry.Box(0, 0, 10, 10)
    assert box.covers([geometry.Box(5, 5, 20, 8), geometry.Box(10, 0, 12, 5), geometry.Box(-5, -5, 1, 2)]) == 15 + 0 + 2
    assert box.outside(geometry.Box(0, 0, 4, 20)) == 60


def test_axes():
    axis = geometry.Axis(0.0, 10.0, 100.0, 300.0)
    assert axis.at(5.0) == 200.0
    assert axis.ticks(5) == [geometry.Tick(100.0 + 40 * i, str(2 * i)) for i in range(6)]
    assert [t.text for t in geometry.Axis(0.1, 0.4, 0, 1).ticks(3)] == ["0.1", "0.2", "0.3", "0.4"]
    same = geometry.axis([5.0, 5.0], 0, 100)
    assert same.low < 5 < same.high


def test_what_is_calibrated_lies_on_the_diagonal():
    drawn = charts.reliability([(0.0, 0.0), (1.0, 1.0), (0.5, 0.25)])
    left, top, right, bottom = drawn.frame
    assert drawn.places[:2] == [(left, bottom), (right, top)] and right - left == bottom - top
    assert drawn.places[2] == ((left + right) / 2, bottom - (bottom - top) / 4)
    assert charts.reliability([]) is None


def test_the_front_is_drawn_as_stairs():
    points = [charts.Point("a", 1, 3, "recipe", True, False), charts.Point("b", 2, 1, "merge", True, False)]
    drawn = charts.scatter(points)
    (ax, ay), (bx, by) = ((m.x, m.y) for m in drawn.marks)
    left, bottom = drawn.frame.left, drawn.frame.bottom
    assert drawn.front == " ".join(f"{x:g},{y:g}" for x, y in [(left, ay), (ax, ay), (ax, by), (bx, by), (bx, bottom)])


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "12.3"),
        (0.0312, True, "+3.1"),
        (-0.02, True, "−2.0"),
        (-0.0004, True, "0.0"),
        (0.0, True, "0.0"),
    ],
)
def test_points(value, signed, text):
    assert report_cells.points(value, signed) == text


def test_columns_bold_all_that_read_like_the_best():
    cells = report_cells.column([0.7231, None, 0.7229, 0.5], heat=True)
    assert [(c.text, c.best) for c in cells] == [("72.3", True), ("–", False), ("72.3", True), ("50.0", False)]
    assert [c.heat for c in cells] == [50, 0, 50, 0]
    assert [c.best for c in report_cells.column([3.0, 1.0], plain=True, low_is_best=True)] == [False, True]


def test_strategies_of_different_filters_share_a_table():
    table = provenance.negatives_table(
        {"a": {"en-en": {"queries": 1, "x": 2, "short": 3}}, "b": {"en-en": {"queries": 1, "y": 4, "short": 5}}}
    )
    assert table.header == ["Direction", "queries", "y", "x", "short"]
    assert [c.text for c in table.rows[1].cells] == ["en-en", "1", "4", "–", "5"]


def test_markdown_is_escaped():
    assert render.plain("a|b\n*c* <i> `d`") == r"a\|b \*c\* \<i\> \`d\`"
