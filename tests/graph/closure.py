"""What a stage's code imports and which params it reads, found in its source."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def files(module: str) -> set[str]:
    """The project's files that `python -m MODULE` runs, found by following imports; packages' __init__ hold no code."""
    start = ROOT / module.replace(".", "/")
    entry = start / "__main__.py" if start.is_dir() else start.with_suffix(".py")
    found, todo = set(), [entry]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                target = ROOT / (name.replace(".", "/") + ".py")
                if name.startswith("stages.") and target.is_file():
                    todo.append(target)
    return {str(file.relative_to(ROOT)) for file in found}


def params(module: str) -> set[str]:
    """The keys that a module's calls of `params.read` name, `{name}` standing for the stage's argument."""
    start = ROOT / module.replace(".", "/")
    entry = start / "__main__.py" if start.is_dir() else start.with_suffix(".py")
    keys = set()
    for node in ast.walk(ast.parse(entry.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.read":
            keys |= {re.sub(r"^f?['\"]|['\"]$", "", ast.unparse(argument)) for argument in node.args}
    return keys
