"""What `dvc.yaml` declares is what the code reads: rule 6 of the design."""

import ast
import re
import subprocess
import sys

import pytest

from stages.settings import yaml12
from tests.conftest import ROOT
from tools import graph

TEXT = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
GRAPH = yaml12.parse(TEXT)["stages"]
STAGES = graph.stages(TEXT)
NEEDS_TORCH = {"base", "candidates", "train", "merge", "retrieve-base", "retrieve-trained", "retrieve-merged", "index"}
NEEDS_TORCH |= {"references", "rerankers", "lexicons", "translated", "chosen", "plans"}
# What any settings are made of, and parts that several groups share.
PARTS_OF_SETTINGS = {"types", "reading", "yaml12", "encoders", "connection", "labelled_columns", "metrics", "tags"}
PARTS_OF_SETTINGS |= {"split", "freeze", "distillation", "early_stopping", "training_sets", "differing"}
# `python -m stages.X` of what is now a tool: they say so.
MOVED = {"answer", "results", "study", "tidy"}


def modules():
    return {name: graph.module(stage) for name, stage in STAGES.items()}


def trees(name):
    """The syntax trees of a stage's own files and of all that it imports, by path."""
    return {file: ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in graph.files(modules()[name])}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_module_of_its_name(name):
    words = STAGES[name]["cmd"].split()
    assert words[:2] == ["python", "-m"]
    assert name == (stem := words[2].removeprefix("stages.")) or name.startswith(stem + "-")


@pytest.mark.parametrize("name", STAGES)
def test_no_command_holds_what_params_say(name):
    """A shell reads the command: names come to the stages of groups by DVC_STAGE (`shared/member.py`)."""
    assert re.fullmatch(r"python -m stages\.[\w ]+", STAGES[name]["cmd"])
    words = STAGES[name]["cmd"].split()[2:]
    calls = [node for tree in trees(name).values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = [call.args[0].value for call in calls if ast.unparse(call.func) == "member.name"]
    assert not graph.group(GRAPH[name]) or asked == [words[0].removeprefix("stages.")]
    assert name == "-".join(words[:2]).removeprefix("stages.")


@pytest.mark.parametrize("name", STAGES)
def test_the_code_declared_is_the_code_imported(name):
    """`python -m tools.graph --write` mends it."""
    assert graph.code(STAGES[name]) == graph.dependencies(graph.module(STAGES[name]))


def test_the_code_lists_are_as_the_tool_writes_them():
    assert graph.written(TEXT) == TEXT


def readers():
    """The key of params.yaml that each `read_...` of stages/settings returns, `${key}` standing for its argument."""
    found = {}
    for file in (ROOT / "stages/settings").glob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("read_") and node.name != "read_names":
                (call,) = (n for n in ast.walk(node) if isinstance(n, ast.Call) and ast.unparse(n.func) == "value")
                key = re.sub(r"^f?['\"]|['\"]$", "", ast.unparse(call.args[0])).replace("{name}", "${key}")
                assert file.stem in key.split("."), f"{file} reads {key}"
                found[f"stages.settings.{file.stem}.{node.name}"] = key
    return found


READERS = readers()


def read_with(name):
    """The `read_...` functions that a stage calls, in any of its files."""
    found = set()
    for tree in trees(name).values():
        imported = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        found |= {imported[word] for word in called if imported.get(word) in READERS}
    return found


def named_by(name):
    """The groups of which a stage reads the members' names alone."""
    calls = [node for tree in trees(name).values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.args[0].value for call in calls if ast.unparse(call.func) == "read_names"}


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_the_params_declared_are_the_params_read(name):
    assert set(STAGES[name].get("params", [])) == {READERS[reader] for reader in read_with(name)} | named_by(name)


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_a_stage_knows_the_settings_that_it_reads_and_no_others(name):
    known = {f.removeprefix("stages/settings/")[:-3] for f in graph.files(modules()[name]) if "/settings/" in f}
    assert known - PARTS_OF_SETTINGS == {reader.split(".")[2] for reader in read_with(name)} - PARTS_OF_SETTINGS


def test_every_group_of_params_has_a_file_of_its_own_name():
    files = {file.stem for file in (ROOT / "stages/settings").glob("*.py")} - {"__init__"}
    assert files - PARTS_OF_SETTINGS == set(yaml12.load(ROOT / "params.yaml"))


def test_check_comes_before_everything():
    """It depends on params.yaml as a whole; whatever needs no other stage needs it."""
    assert "params.yaml" in STAGES["check"]["deps"] and "params" not in STAGES["check"]
    made = [out if isinstance(out, str) else next(iter(out)) for s in STAGES.values() for out in s.get("outs", [])]
    for name, stage in STAGES.items():
        data = [dep for dep in stage["deps"] if dep.startswith(("data/", "models/", "metrics/"))]
        assert name == "check" or any(dep.startswith(out.split("/${")[0]) for dep in data for out in made), name


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_makes(name):
    assert STAGES[name]["desc"]


def test_only_stages_read_params():
    """A shared module that read params would hide them from `dvc.yaml`; a stage reads them in its entry alone."""
    entries = {str(graph.entry(module).relative_to(ROOT)) for module in modules().values()}
    for file in (ROOT / "stages").rglob("*.py"):
        name = str(file.relative_to(ROOT))
        calls = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)]
        reads = [
            word for call in calls if (word := ast.unparse(call.func)).startswith("read_") or word == "params.load"
        ]
        ours = [word for word in reads if word == "params.load" or any(key.endswith(f".{word}") for key in READERS)]
        assert not ours or name in entries, name


def test_stages_do_not_import_each_other_nor_any_tool():
    shared = ("stages/shared/", "stages/settings/", "stages/schemas/")
    for name, module in modules().items():
        own = module.replace(".", "/")
        for file, tree in trees(name).items():
            assert file.startswith((f"{own}.py", f"{own}/", *shared)), (name, file)
            words = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
            words += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
            assert not [word for word in words if word.split(".")[0] in ("tools", "tests")], file


def test_no_module_is_without_use():
    """Whatever is in stages/ is a part of some stage, or says where a tool went."""
    used = {file for name in STAGES for file in graph.files(modules()[name])}
    by_tools = {file for tool in (ROOT / "tools").glob("*.py") for file in graph.files(f"tools.{tool.stem}")}
    for file in (ROOT / "stages").rglob("*.py"):
        name = str(file.relative_to(ROOT))
        assert name in used | by_tools or file.name == "__init__.py" or file.stem in MOVED, name


def test_packages_hold_no_code():
    """`tools.graph` leaves packages' own files out, so there must be nothing in them, but for what heeds signals from
    the first moment on: that is in code which every stage depends on."""
    for file in [*(ROOT / "stages").rglob("__init__.py"), *(ROOT / "tools").rglob("__init__.py")]:
        tree = ast.parse(file.read_text())
        if file.parent.parent == ROOT:
            imported = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
            files = {f"{n.module.replace('.', '/')}/{alias.name}.py" for n in imported for alias in n.names}
            assert files == {"stages/shared/errors.py", "stages/shared/signals.py"}
            assert all(files <= graph.code(stage) for stage in STAGES.values())
        else:
            assert all(isinstance(n, ast.Expr) for n in tree.body), file


def test_no_two_classes_or_constants_have_one_name():
    """But for what is a module's own by convention: where it writes, its log and its report."""
    seen = {}
    for file in [*(ROOT / "stages").rglob("*.py"), *(ROOT / "tools").glob("*.py")]:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [node.name] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                flat = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
                names = [part.id for part in flat if re.fullmatch(r"[A-Z]\w*", part.id)]
            for name in set(names) - {"OUT", "REPORT"}:
                seen.setdefault(name, []).append(str(file.relative_to(ROOT)))
    assert {name: places for name, places in seen.items() if len(set(places)) > 1} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STAGES if name not in NEEDS_TORCH])
def test_cheap_stages_start_without_torch(name):
    """Importing torch takes seconds: everything the stage imports, also inside functions, does without."""
    found = sorted(
        file.removesuffix(".py").replace("/", ".")
        for file in graph.files(modules()[name])
        if not file.endswith("__main__.py")
    )
    code = f"import sys, {', '.join(found)}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_default_study_is_small_enough_for_dvc():
    """DVC's own time grows with the square of the number of stages: below 60 here, below 80 in any study."""
    params = yaml12.load(ROOT / "params.yaml")
    count = 0
    for stage in GRAPH.values():
        group = graph.group(stage)
        count += len(params[group]) if group else 1
    assert count < 60
