"""README and docs say what the graph, the committed metrics, the commands and the studies say."""

import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from stages.check import params
from stages.check.groups import Params
from stages.settings import yaml12
from tests.conftest import ROOT
from tools import overlay, sweep

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
README = TEXTS["README.md"]
# What else names files and keys: not of the README's pages.
COLLECTION = "data/collection/README.md"
NAMING = {**TEXTS, COLLECTION: (ROOT / COLLECTION).read_text(encoding="utf-8")}
TREES = "stages|tools|tests|studies|benchmarks|docs|data/collection"
# An overlay, and the study that it is a part of, if a comment before it says so.
OVERLAY = re.compile(r"(?:<!-- part of ([\w-]+):.*-->\n)?```yaml\n(.*?)```", re.DOTALL)
OVERLAYS = [
    pytest.param(*found, id=f"{name}-{number}")
    for name, text in TEXTS.items()
    for number, found in enumerate(OVERLAY.findall(text))
]

# A sweep and the study it is of, if it names one, where people find it.
SWEEP = re.compile(r"(?:make study STUDY=([\w-]+) +)?(?:\[?SWEEP=\"([^\"]+)\"|dvc exp run -S (\S+))")
# A comment breaks a command after a comma or a backslash.
BROKEN = re.compile(r"(?:(?<=,)|\\)\n# +")
SWEEPS = [
    pytest.param(study, swept or single, id=f"{page.name}-{number}")
    for page in (*PAGES, *sorted((ROOT / "studies").glob("*.yaml")), ROOT / "Makefile")
    for number, (study, swept, single) in enumerate(SWEEP.findall(BROKEN.sub("", page.read_text(encoding="utf-8"))))
]


def present(text: str) -> str:
    """`text` without the column `was` of its tables, which names what is gone."""
    table = re.compile(r"^\| was \|.*\n(?:\|.*\n)*", re.MULTILINE)
    return table.sub(lambda found: re.sub(r"^\|.*?[^\\]\|", "|", found[0], flags=re.MULTILINE), text)


def rows(after: str, text: str = README) -> list[str]:
    """The lines of the table that follows a marker comment."""
    table = text.split(f"<!-- {after}:", 1)[1].split("-->\n", 1)[1]
    return table.split("\n\n", 1)[0].splitlines()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_the_readme_links_every_page():
    linked = re.findall(r"^- \[[^]]+\]\((docs/[\w-]+\.md)\): \S", README, re.MULTILINE)
    assert sorted(linked) == [name for name in TEXTS if name != "README.md"]


def test_the_stage_table_is_that_of_the_graph():
    graph = yaml12.load(ROOT / "dvc.yaml")["stages"]
    wanted = [f"| `{name}` | {stage.get('do', stage)['desc']} |" for name, stage in graph.items()]
    assert rows("stages")[2:] == wanted


def test_the_picture_shows_every_stage():
    picture = README.split("```mermaid", 1)[1].split("```", 1)[0]
    for name in yaml12.load(ROOT / "dvc.yaml")["stages"]:
        assert re.search(rf"\b{name}\b", picture), name


def test_the_flow_of_data_names_every_stage():
    flow = TEXTS["docs/architecture.md"].split("\n## How data flows\n", 1)[1].split("\n## ", 1)[0]
    named = re.findall(r"^\| `([\w*-]+)` \|", flow, re.MULTILINE)
    stages = yaml12.load(ROOT / "dvc.yaml")["stages"]
    assert set(named) == {re.sub("-.*", "-*", name) for name in stages}


def test_the_default_study_s_table_has_its_models():
    printed = (ROOT / "docs/tables/default.md").read_text(encoding="utf-8").splitlines()
    names = [line.split("|")[1].strip() for line in printed if line.startswith("|")][2:]
    assert names == list(params.load(ROOT / "params.yaml").rows)


def test_tables_that_were_printed_are_those_of_their_files():
    """What studies that take long have printed is in docs/tables, as it was printed."""
    told = [(text, name) for text in TEXTS.values() for name in re.findall(r"<!-- printed: (\S+) -->", text)]
    assert {name for _, name in told} == {str(file.relative_to(ROOT)) for file in (ROOT / "docs/tables").glob("*.md")}
    for text, name in told:
        printed = (ROOT / name).read_text(encoding="utf-8").splitlines()
        table = text.split(f"<!-- printed: {name} -->\n", 1)[1].split("\n\n", 1)[0].splitlines()
        assert table == [line for line in printed if line.startswith("|")]


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_named_is_there(name):
    text = present(TEXTS[name])
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"(?:^|`)(?:\w+=\S+ )?make ([a-z]+)", text, re.MULTILINE):
        assert target in targets, target
    for package, module in re.findall(r"python -m (stages|tools)\.(\w+)", text):
        if module != "X":
            place = ROOT / package / module
            assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module
    for script in re.findall(r"python (benchmarks/\w+\.py)", text):
        assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("name", NAMING)
def test_every_file_named_is_there(name):
    for path in re.findall(rf"[`\s]((?:{TREES})/[\w./-]*)(?=[`\s])", present(NAMING[name])):
        # X is any stage, mine a study of one's own.
        if not re.search(r"/X\b|/mine\b", path):
            assert (ROOT / path).exists(), path
    # A folder, and files of it.
    for folder, files in re.findall(r"`([\w/]+/)`: ([^|\n]*)", NAMING[name]):
        for file in re.findall(r"`(\w+\.py)`", files):
            assert (ROOT / folder / file).exists(), folder + file


def below(kind: Any, part: str) -> Any:
    """What a setting of type `kind` holds under `part`; None if it has no such key, Any if it may be anything."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = {field.alias or name: field for name, field in kind.model_fields.items()}.get(part)
        return field.annotation if field else None
    if getattr(kind, "__origin__", None) is dict:
        return get_args(kind)[1]
    # Of choices the one that has the key, and of a type with conditions the type.
    return next((found for option in get_args(kind) if (found := below(option, part)) is not None), None)


@pytest.mark.parametrize("name", NAMING)
def test_every_setting_named_is_there(name):
    groups = "|".join(Params.model_fields)
    for key in re.findall(rf"`((?:{groups})\.[\w.<>-]*[\w>])", present(NAMING[name])):
        if re.search(r"\.(?:py|json|jsonl|yaml|parquet)$", key):
            continue
        kind: Any = Params
        for part in key.split("."):
            kind = below(kind, part)
            assert kind is not None, key


def test_every_file_of_the_map_is_there():
    block = TEXTS["docs/architecture.md"].split("\n## The map of files\n\n```\n", 1)[1].split("```", 1)[0]
    folders: list[str] = []
    for line in block.splitlines():
        depth, entry = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders = [*folders[:depth], entry]
        path = ROOT.joinpath(*folders)
        assert path.is_dir() if entry.endswith("/") else path.is_file(), path
        assert len(line.split()) > 1, f"{line}: what is it?"


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name):
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            # As GitHub makes them: lower case, no punctuation, - for a blank.
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, link


def applied(shown, tmp_path, monkeypatch):
    """The params of the default study with the overlay `shown`, in which <words> stand for what the reader knows."""
    (tmp_path / "shown.yaml").write_text(re.sub(r"<[^<>\n]+>", "a" * 40, shown), encoding="utf-8")
    monkeypatch.setattr(overlay, "STUDIES", tmp_path)
    tree = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    overlay.apply(tree, overlay.read("shown")[1])
    YAML().dump(tree, tmp_path / "params.yaml")
    return params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(("part_of", "shown"), OVERLAYS)
def test_an_overlay_shown_is_a_study(part_of, shown, tmp_path, monkeypatch):
    if not part_of:
        applied(shown, tmp_path, monkeypatch)
        return
    (tmp_path / "shown.yaml").write_text(shown, encoding="utf-8")
    part = yaml12.load(tmp_path / "shown.yaml")
    monkeypatch.setattr(overlay, "STUDIES", ROOT / "studies")
    whole = overlay.read(part_of)[1]
    assert part == {key: whole[key] for key in part}


def test_overlays_are_shown():
    pages = {param.id.rpartition("-")[0] for param in OVERLAYS}
    assert {"README.md", "docs/knowledge-base.md", "docs/sources.md", "docs/studies.md", "docs/synthesis.md"} <= pages


@pytest.mark.parametrize(("study", "settings"), SWEEPS)
def test_a_sweep_shown_is_of_keys_that_there_are(study, settings, monkeypatch):
    monkeypatch.setattr(overlay, "STUDIES", ROOT / "studies")
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    if study:
        text, _ = overlay.merged(text, overlay.read(study)[1])
    for setting in settings.split():
        sweep._check_key(setting, yaml12.parse(text))


def test_sweeps_are_shown():
    pages = {param.id.rpartition("-")[0] for param in SWEEPS}
    assert {"README.md", "knowledge-base.md", "studies.md", "hinglish-kb.yaml", "paper-ko-en.yaml", "Makefile"} <= pages


def overlay_of(page):
    return OVERLAY.search(TEXTS[page])[2]


def test_the_overlay_shown_for_ones_own_text_has_nothing_of_the_default_study(tmp_path, monkeypatch):
    found = applied(overlay_of("README.md"), tmp_path, monkeypatch)
    assert found.languages == ["en", "de"]
    assert list(found.recipes) == ["ende", "deen"]
    assert list(found.merges) == ["average"]
    assert found.base.name == "intfloat/multilingual-e5-base"


def test_the_overlay_shown_for_an_endpoint_asks_it(tmp_path, monkeypatch):
    found = applied(overlay_of("docs/synthesis.md"), tmp_path, monkeypatch)
    assert (found.llm.provider, found.llm.key_env) == ("openai", None)
    assert found.llm.parameters == {"max_completion_tokens": 2000}


def test_an_overlay_with_only_replaces_a_group_and_merges_others(tmp_path, monkeypatch):
    default = params.load(ROOT / "params.yaml")
    found = applied(overlay_of("docs/studies.md"), tmp_path, monkeypatch)
    assert (list(found.recipes), list(found.merges)) == (["mono", "cross"], ["both"])
    assert found.negatives["window"].rank_min == 20
    assert found.negatives["window"].rank_max == default.negatives["window"].rank_max
