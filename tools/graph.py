"""python -m tools.graph [--write]: the code that each stage of dvc.yaml depends on, as its imports say.

A stage depends on its own folder, or its one file, and on each file of `stages/` that these import, directly or by way
of others. Without --write differences are told, and the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

from stages.settings import yaml12
from stages.shared import errors, tables

GRAPH, LOCK = Path("dvc.yaml"), Path("dvc.lock")
CHECKOUT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.graph", description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="write the lists into dvc.yaml")
    arguments = parser.parse_args()
    text = GRAPH.read_text(encoding="utf-8")
    found = written(text)
    if arguments.write:
        tables.write_text(found, GRAPH)
        print(f"{GRAPH} is as the imports say" if found == text else f"{GRAPH}: code lists written")
        return
    differ = found != text
    for name, stage in stages(text).items():
        declared, imported = code(stage), dependencies(module(stage))
        for what, files in (("lacks", imported - declared), ("needs no more", declared - imported)):
            if files:
                print(f"{name} {what}: {', '.join(sorted(files))}")
                differ = True
    if differ:
        sys.exit("run `python -m tools.graph --write` (a stage needs a list `deps:` to be written to)")


def stages(text: str) -> dict[str, dict]:
    """The stages of a dvc.yaml by name, those of a group without its `foreach`."""
    graph = yaml12.parse(text)["stages"]
    return {name: stage.get("do", stage) for name, stage in graph.items()}


def group(stage: dict) -> str:
    """The group of params.yaml that a stage of dvc.yaml, as it stands there, has a member for each of; else empty."""
    return str(stage.get("foreach", "")).removeprefix("${").removesuffix("}")


def module(stage: dict) -> str:
    """`stages.X`, which the stage runs."""
    return str(stage["cmd"].split()[2])


def code(stage: dict) -> set[str]:
    """The code that a stage declares."""
    return {dep for dep in stage.get("deps", []) if dep.startswith("stages/")}


def written(text: str) -> str:
    """dvc.yaml's `text` with the code of each stage as its imports say, before its other dependencies."""
    blocks = re.split(r"(?m)^(?=  [\w-]+:\n)", text)
    return "".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    found = re.search(r"cmd: python -m (stages\.\w+)", block)
    deps = re.search(r"(?m)^( +)deps:\n((?:\1  - .*\n)+)", block)
    if not found or not deps:
        return block
    pad = f"{deps[1]}  - "
    others = [line for line in deps[2].splitlines(keepends=True) if not line.startswith(f"{pad}stages/")]
    lines = [f"{pad}{file}\n" for file in sorted(dependencies(found[1]))]
    return block[: deps.start(2)] + "".join([*lines, *others]) + block[deps.end(2) :]


def dependencies(module: str) -> set[str]:
    """The stage's own folder or file, and the files beyond it that it imports."""
    own = module.replace(".", "/")
    folder = (CHECKOUT / own).is_dir()
    beyond = {file for file in files(module) if not (folder and file.startswith(f"{own}/"))}
    return beyond | {own} if folder else beyond


def entry(module: str) -> Path:
    start = CHECKOUT / module.replace(".", "/")
    return start / "__main__.py" if start.is_dir() else start.with_suffix(".py")


def files(module: str) -> set[str]:
    """The project's files that `python -m MODULE` runs, found by following imports; packages' __init__ hold no code."""
    found: set[Path] = set()
    todo = [entry(module)]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for name in _imported(file):
            target = CHECKOUT / (name.replace(".", "/") + ".py")
            if name.startswith("stages.") and target.is_file():
                todo.append(target)
    return {str(file.relative_to(CHECKOUT)) for file in found}


def _imported(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


if __name__ == "__main__":
    errors.run(main)
