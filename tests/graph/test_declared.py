"""What `dvc.yaml` declares is what the code reads: rule 6 of the design."""

import ast
import subprocess
import sys

import pytest

from stages.settings import yaml12
from tests.graph import closure

STAGES = yaml12.load(closure.ROOT / "dvc.yaml")["stages"]
TORCH_FREE = [
    "corpus",
    "synthesize",
    "negatives",
    "triples",
    "trainsets",
    "benchmarks",
    "contamination",
    "fetch",
    "score",
    "labels",
    "compare",
    "report",
]


def body(name):
    return STAGES[name].get("do", STAGES[name])


def module(name):
    return body(name)["cmd"].split()[2]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_module_of_its_name(name):
    words = body(name)["cmd"].split()
    assert words[:2] == ["python", "-m"]
    assert name == (stem := module(name).removeprefix("stages.")) or name.startswith(stem + "-")


@pytest.mark.parametrize("name", STAGES)
def test_the_code_declared_is_the_code_imported(name):
    declared = {d for d in body(name)["deps"] if d.startswith("stages/") and d.endswith(".py")}
    assert declared == closure.files(module(name))


@pytest.mark.parametrize("name", STAGES)
def test_the_params_declared_are_the_params_read(name):
    read = {key.replace("{name}", "${key}") for key in closure.params(module(name))}
    assert set(body(name).get("params", [])) == read


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_makes(name):
    assert body(name)["desc"]


def test_only_stages_read_params():
    """A shared module that read params would hide them from `dvc.yaml`; a stage reads them in its entry alone."""
    entries = {f"{module(n).replace('.', '/')}{end}" for n in STAGES for end in (".py", "/__main__.py")}
    tools = {"stages/study.py", "stages/tidy.py", "stages/results.py"}
    for file in (closure.ROOT / "stages").rglob("*.py"):
        name = str(file.relative_to(closure.ROOT))
        calls = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)]
        reads = {ast.unparse(c.func) for c in calls} & {"params.read", "params.load"}
        assert not reads or name in entries | tools, name


def test_stages_do_not_import_each_other():
    for name in STAGES:
        own = module(name).removeprefix("stages.")
        for file in closure.files(module(name)):
            assert file.startswith((f"stages/{own}.py", f"stages/{own}/", "stages/shared/")), (name, file)


def test_packages_hold_no_code():
    """`closure.files` leaves packages' own files out, so there must be nothing in them."""
    for file in (closure.ROOT / "stages").rglob("__init__.py"):
        assert all(isinstance(n, ast.Expr) for n in ast.parse(file.read_text()).body), file


@pytest.mark.parametrize("name", TORCH_FREE)
def test_cheap_stages_start_without_torch(name):
    """Importing torch takes seconds: everything the stage imports, also inside functions, does without."""
    modules = sorted(
        file.removesuffix(".py").replace("/", ".")
        for file in closure.files(f"stages.{name}")
        if not file.endswith("__main__.py")
    )
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=closure.ROOT).returncode == 0


def test_the_default_study_is_small_enough_for_dvc():
    """DVC's own time grows with the square of the number of stages: below 60 here, below 80 in any study."""
    params = yaml12.load(closure.ROOT / "params.yaml")
    count = 0
    for stage in STAGES.values():
        group = stage.get("foreach", "").removeprefix("${").removesuffix("}")
        count += len(params[group]) if group else 1
    assert count < 60
