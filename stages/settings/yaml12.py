"""PyYAML with the scalar rules of YAML 1.2, the ones DVC follows when it writes `params.yaml`.

PyYAML alone follows YAML 1.1: `2e-05`, as DVC stores `-S train.learning_rate=2e-5`, would be a string and the
language `no` would be False (dvc#5971).
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from yaml import SafeLoader
else:
    # By libyaml, which takes a tenth of the time, and comes with PyYAML's wheels.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Groups within groups; libyaml would go on until the process dies.
DEEPEST = 100


class Loader(SafeLoader):
    """A safe loader that knows true/false, null, decimal, octal and hexadecimal integers, and floats; no more."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
    ("merge", r"^(?:<<)$", "<"),
):
    # Integers are listed before floats: the first pattern that matches wins.
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def _integer(loader: Loader, node: yaml.ScalarNode) -> int:
    text = node.value.lower()
    base = 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10
    return int(text.replace("0o", "") if base == 8 else text, base)


def _float(loader: Loader, node: yaml.ScalarNode) -> float:
    # `.inf` and `.nan` are `inf` and `nan` to Python.
    return float(re.sub(r"\.(inf|nan)$", r"\1", node.value.lower()))


Loader.add_constructor("tag:yaml.org,2002:int", _integer)
Loader.add_constructor("tag:yaml.org,2002:float", _float)


def mapping(loader: Loader, node: yaml.MappingNode) -> dict:
    """A mapping, whose keys must differ; raises `yaml.YAMLError`."""
    seen: set = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
        seen.add(key.value)
    return SafeLoader.construct_mapping(loader, node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:map", mapping)


def load(path: Path) -> Any:
    """Read one YAML file; raises `yaml.YAMLError`, `OSError` or `UnicodeDecodeError`."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str, loader: type[Loader] = Loader) -> Any:
    """What YAML `text` says; raises `yaml.YAMLError`."""
    try:
        _check_depth(text)
        return yaml.load(text, loader)
    except ValueError as error:  # a number of thousands of digits
        raise yaml.YAMLError(str(error)) from None


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")
