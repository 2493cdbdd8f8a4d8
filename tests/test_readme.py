"""The README says what the graph and the committed metrics say."""

import json
import re

from ruamel.yaml import YAML

from stages.check import params
from stages.settings import yaml12
from stages.shared.tasks import GROUPS, tasks
from tools import results, study
from tools.graph import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(after: str) -> list[str]:
    """The lines of the table that follows a marker comment."""
    table = README.split(f"<!-- {after}:", 1)[1].split("-->\n", 1)[1]
    return table.split("\n\n", 1)[0].splitlines()


def test_the_stage_table_is_that_of_the_graph():
    graph = yaml12.load(ROOT / "dvc.yaml")["stages"]
    wanted = [f"| `{name}` | {stage.get('do', stage)['desc']} |" for name, stage in graph.items()]
    assert rows("stages")[2:] == wanted


def test_the_picture_shows_every_stage():
    picture = README.split("```mermaid", 1)[1].split("```", 1)[0]
    for name in yaml12.load(ROOT / "dvc.yaml")["stages"]:
        assert re.search(rf"\b{name}\b", picture), name


def test_the_result_table_is_that_of_the_metrics():
    study = params.load(ROOT / "params.yaml")
    names = ["base", *study.recipes, *study.merges]
    scores = {name: json.loads((ROOT / f"metrics/models/{name}.json").read_text())["test"] for name in names}
    columns = [*(task.name for task in tasks(study.languages, study.languages)), *GROUPS]
    assert rows("results") == results.table(scores, columns, study.compare.metric)


def test_every_command_named_is_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert target in targets or target in ("and",), target
    for module in re.findall(r"python -m stages\.(\w+)", README):
        if module != "X":
            assert (ROOT / "stages" / f"{module}.py").is_file() or (ROOT / "stages" / module).is_dir(), module
    for script in re.findall(r"python (benchmarks/\w+\.py)", README):
        assert (ROOT / script).is_file(), script


def overlaid(title, tmp_path):
    """The default params with the overlay that the section `title` of the README shows."""
    shown = README.split(f"## {title}\n", 1)[1].split("```yaml\n", 1)[1].split("```", 1)[0]
    (tmp_path / "mine.yaml").write_text(shown.replace("<a model of the endpoint>", "some-model"))
    tree = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    study.apply(tree, yaml12.load(tmp_path / "mine.yaml"))
    YAML().dump(tree, tmp_path / "params.yaml")
    return params.load(tmp_path / "params.yaml")


def test_the_overlay_shown_for_ones_own_text_is_a_study(tmp_path):
    found = overlaid("Your own text", tmp_path)
    assert found.languages == ["en", "de"]
    assert list(found.recipes) == ["ende", "deen"]
    assert list(found.merges) == ["average"]
    assert found.base.name == "intfloat/multilingual-e5-base"


def test_the_overlay_shown_for_an_endpoint_is_a_study(tmp_path):
    found = overlaid("Texts that a language model writes", tmp_path)
    assert (found.llm.provider, found.llm.key_env, found.llm.longest_reply) == ("openai", None, 2000)


def test_the_knowledge_base_is_that_of_its_study(tmp_path):
    section = README.split("## A knowledge base in one language, asked in any\n", 1)[1]
    (tmp_path / "shown.yaml").write_text(section.split("```yaml\n", 1)[1].split("```", 1)[0])
    shown = yaml12.load(tmp_path / "shown.yaml")
    whole = yaml12.load(ROOT / "studies/hinglish-kb.yaml")
    assert shown == {key: whole[key] for key in ("languages", "corpus")}
