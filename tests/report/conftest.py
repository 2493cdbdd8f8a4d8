"""A small study written by hand, and what the stage makes of it."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from stages.report.__main__ import main
from stages.settings import yaml12
from tests.conftest import ROOT

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
# Shares of the negatives above the triple's own positive, by composition.
ABOVE = {"koenen": 0.0, "koenko": 0.125, "enkoko": 0.0}
# The groups of params that the stage reads.
READ = (
    *("report", "languages", "recipes", "merges", "benchmarks", "compare"),
    *("base", "teacher", "train", "seed", "labels", "references", "fusions"),
    *("rerankers", "rerank", "translated"),
)
LEADS = {
    "best_recipe": {"over": "koenen", "lead": 0.005, "standard_error": 0.001},
    "chosen_model": {"over": "both", "lead": 0.02, "standard_error": 0.0125},
}
CHOICE = {
    "best": "avg",
    "tied": [],
    "dropped": {"mono": ["koenko"]},
    "objective": {"avg": 0.55, "both": 0.545, "koenen": 0.53, "base": 0.4, "koenko": 0.37},
}
VOID = {"meta", "link", "br", "hr", "img", "input", "rect", "circle", "line", "path", "polyline"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder with params and all that the stage reads; the benchmark `plain` has English only."""
    monkeypatch.chdir(tmp_path)
    params = {group: value for group, value in yaml12.load(ROOT / "params.yaml").items() if group in READ}
    params["report"]["title"] = TITLE
    params["recipes"] = {name: {"compositions": c, "negatives": "window"} for name, c in RECIPES.items()}
    params["merges"] = {"avg": {"method": "linear", "weights": {"koenen": 1.0, "both": 3.0}}}
    params["references"] = params["fusions"] = {}
    params["benchmarks"]["plain"] = {"source": "beir", "path": "/somewhere/else/plain"}
    write("params.yaml", yaml.safe_dump(params, sort_keys=False))
    write("models/base/encoder.json", {"name": "static", "preset": None, "prompts": {"query": "", "passage": ""}})
    write("data/candidates/teacher.json", {"name": "base"})
    write("metrics/corpus.json", CORPUS)
    write("metrics/collected.json", {"passages": {}, "queries": {}, "left_out": {"queries that no passage answers": 7}})
    contaminated()
    write("metrics/codeswitch.json", {})
    write("metrics/labels.json", {})
    write("metrics/costs.json", {})
    write("metrics/lexicons.json", {})
    write("metrics/references.json", {})
    write("metrics/searches.json", {})
    write(
        "metrics/summary.json",
        {
            **{"metric": "ndcg@10", "selected_on": "dev", "best_recipe": "both", "chosen_model": "avg"},
            **{"leads": LEADS, "choice": CHOICE},
        },
    )
    for model in MODELS:
        groups = dict(zip(("mono", "cross", "multi"), MEANS[model], strict=False))
        scores = {group: {"ndcg@10": value, "recall@1": value / 2} for group, value in groups.items()}
        write(f"metrics/models/{model}.json", {"dev": scores, "test": scores, "plain": {"mono": scores["mono"]}})
    for recipe in RECIPES:
        write(f"metrics/training/{recipe}.csv", "step,loss\n4,1.5\n8,0.25\n")
    counts = {"queries": 9, "candidates": 1234, "relevant": 2, "relative_margin": 7, "short": 1, "positive_score": 0.5}
    write(
        "metrics/negatives.json",
        {"window": {"directions": {"en-en": counts, "ko-en": {"queries": 0}}, "above_positive": ABOVE}},
    )
    asked = {"asked": 1234, "no_negatives": 34, "over_share": 0, "queries": 1200, "rows": 1300}
    write(
        "metrics/trainsets.json",
        {
            "recipes": {name: dict.fromkeys(c, asked) for name, c in RECIPES.items()},
            "queries": {"every_recipe": 1200, "any_recipe": 1200},
        },
    )
    kept = {"texts": 40, "script": 1, "parallel": 1, "kept": 38}
    write(
        "metrics/synthesis.json",
        {"requests": {"queries": {"items": 20, "failed": 0}}, "filters": {"queries": kept}, "tokens": {}},
    )
    for benchmark in BENCHMARKS:
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
    report = {b: {r: {"en": clean, "ko": clean, "*": clean} for r in RECIPES} for b in BENCHMARKS}
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
    biases = ["model,language_bias,low,high,language_bias_median"]
    tests = [
        "group,model,reference,queries,difference,median,low,high,p_mean,p_random,p_ranks,p,effect,needed,"
        "p_corrected,significant",
    ]
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
                    f"mono,{model},{reference},300,{gap},{gap},{gap - 0.01},{gap + 0.01},{p},{p},,{p},"
                    f"{10 * gap},1234,{p},{str(sure).lower()}"
                )
        if not only_mono:
            biases.append(f"{model},{bias},{bias - 5},{bias + 5},{bias / 10}")
            # All but equal ones differ surely.
            tests += [
                f"language_bias,{model},{r},300,{gap},1.0,{gap - 1},{gap + 1},0.001,0.001,0.002,0.002,,,0.01,true"
                for r in ("base", "both")
                if model != r
                for gap in [bias - MEANS[r][3]]
            ]
    of_domains = ["domain,model,queries,mono,cross,multi,language_bias"]
    planned = ["contrast,domain," + tests[0]]
    for kind, lines in (("domains", of_domains), ("contrasts", planned)):
        write(f"metrics/tables/{kind}/{benchmark}.csv", "\n".join(lines) + "\n")
    for kind, lines in (("tradeoff", tradeoff), ("tasks", tasks), ("bias", biases), ("significance", tests)):
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
    params = yaml12.load(Path("params.yaml"))
    change(params)
    write("params.yaml", yaml.safe_dump(params, sort_keys=False))


def cells(reader, table, model):
    return next(row for row in reader.tables[table] if row[0][0].split()[0] == model)


def section(text, name):
    """The part of the page that has the id `name`."""
    return text.split(f'<section id="{name}"')[1].split("</section>")[0]
