"""The shipped studies fit, and say what they are."""

import re
from pathlib import Path

import pytest
import yaml

from stages.check import params
from stages.settings import yaml12
from tests.conftest import ROOT
from tools import graph, overlay

STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
DEFAULT = (ROOT / "params.yaml").read_text(encoding="utf-8")


def overlay_of(file):
    return yaml.load(file.read_text(encoding="utf-8"), overlay.OverlayLoader)


def merged(wanted):
    """The default study with the overlay `wanted` applied, as a tree."""
    return yaml12.parse(overlay.merged(DEFAULT, wanted)[0])


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_shipped_study_fits_and_is_small_enough_for_dvc(file):
    # Upon the studies that its head names it after.
    under = re.search(rf'STUDY="([\w -]+) {file.stem}"', file.read_text(encoding="utf-8"))
    before = DEFAULT
    for name in under[1].split() if under else ():
        before, _ = overlay.merged(before, overlay_of(ROOT / f"studies/{name}.yaml"))
    tree = yaml12.parse(overlay.merged(before, overlay_of(file))[0])
    params.validate(tree)
    stages = yaml12.load(ROOT / "dvc.yaml")["stages"].values()
    groups = [graph.group(body) for body in stages]
    assert sum(len(tree[group]) if group else 1 for group in groups) < 80
    # What is downloaded is pinned, and something reads it.
    paths = [tree["corpus"]["path"], *(benchmark["path"] for benchmark in tree["benchmarks"].values())]
    for name, fetched in tree["fetch"].items():
        assert re.fullmatch(r"[0-9a-f]{40}", fetched["revision"])
        assert any(Path("data/fetch", name).is_relative_to(path) for path in paths)


def test_the_paper_study_is_the_paper():
    found = params.validate(merged(overlay_of(ROOT / "studies" / "paper-ko-en.yaml")))
    assert [recipe.compositions for recipe in found.recipes.values()] == [[name] for name in found.recipes]
    assert set(found.recipes) == {f"{q}{p}{n}" for q in ("en", "ko") for p in ("en", "ko") for n in ("en", "ko")}
    window = found.negatives["window"]
    assert (window.k, window.rank_min, window.rank_max, found.candidates.depth) == (5, 50, 300, 300)
    assert window.relative_margin is not None
    assert found.teacher.name != "base"
    assert (found.corpus.source, found.synthesize.topics.taxonomy) == ("none", "kdc")
    assert found.compare.metric == "ndcg@10"
    assert {"belebele", "strategyqa"} < set(found.benchmarks)
    # Each model of a cross-lingual pair of query and positive is merged with each mono-lingual one.
    pairs = [frozenset({c, m}) for c in ("koenen", "koenko", "enkoen", "enkoko") for m in ("enenen", "kokoko")]
    assert {frozenset(merge.weights) for merge in found.merges.values()} == set(pairs)
    assert {weight for merge in found.merges.values() for weight in merge.weights.values()} == {0.5}


def test_every_value_of_the_paper_study_says_whose_it_is():
    """The paper's or ours: on its line, or on that of a group it is in."""
    text = (ROOT / "studies" / "paper-ko-en.yaml").read_text(encoding="utf-8")
    unmarked, marks = [], {}
    for line in re.findall(r"^ *[^ #].*$", text, re.MULTILINE):
        depth = len(line) - len(line.lstrip())
        marks = {d: marked for d, marked in marks.items() if d < depth}
        code, _, comment = line.partition(" #")
        marks[depth] = bool(re.search(r"\b(paper|ours)\b", comment))
        if not code.rstrip().endswith(":") and not any(marks.values()):
            unmarked.append(code.strip())
    assert unmarked == ["title: Korean-English, arXiv 2507.08480"]


def alternatives():
    """The template's "#:" lines as overlays: neighbours together, unless they say one key in several ways."""
    text = (ROOT / "studies" / "template.yaml").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"(?:^#: .*\n)+", text, re.MULTILINE):
        entries = re.findall(r"^\S.*\n(?:^ .*\n)*", re.sub(r"^#: ", "", block, flags=re.MULTILINE), re.MULTILINE)
        found_here = [yaml.load(entry, overlay.OverlayLoader) for entry in entries]
        together = {key: value for some in found_here for key, value in some.items()}
        found += [together] if len(together) == len(found_here) else found_here
    return found


@pytest.mark.parametrize("wanted", alternatives(), ids=lambda wanted: str(wanted)[:60])
def test_every_other_way_in_the_template_fits(wanted):
    """It takes the place of what the template says of the same groups."""
    if "mini_batch_size" in wanted.get("train", {}):  # of a transformer, as the lines above it
        wanted = wanted | {"base": {"name": "intfloat/multilingual-e5-base"}}
    tree = merged(overlay_of(ROOT / "studies" / "template.yaml") | wanted)
    params.validate(tree)
    for group in set(wanted) & {"languages", "recipes", "merges"}:
        assert tree[group] == wanted[group]


def test_the_template_has_a_way_for_each_source_of_text():
    ways = {wanted["corpus"].get("source") for wanted in alternatives() if "corpus" in wanted}
    assert {"tmx", "moses", "po", "xliff", "markdown", "csv", "datasets", "beir"} <= ways
