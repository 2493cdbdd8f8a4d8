"""The study's settings as the page lists them."""

from __future__ import annotations

import json
from typing import Any

from stages.report.study import Study
from stages.settings.types import Group


def settings(study: Study, base: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The settings to know when reading the numbers; those left to the model are not listed, nor is the rule of the
    choice, which the page tells in words. `base`: its record."""
    # A static base reads texts of any length.
    static = base.get("max_length") is None
    train = study.train.model_copy(update={"learning_rate": study.train.rate(static)})
    # Not counted here: training has long been done, and maybe elsewhere.
    threads = (
        "1, whatever the machine has"
        if static
        else "as many as torch took (OMP_NUM_THREADS): the last digits of weights depend on it"
    )
    study_wide = [("languages", ", ".join(study.languages)), ("seed", str(study.seed)), ("training threads", threads)]
    groups = {"Study": study_wide}
    if study.base.name == "static":
        groups["Bootstrap of the base"] = _listed(study.base.static)
    groups |= {"Training of each recipe": _listed(train), "Comparison": _listed(study.compare, "choose", "contrasts")}
    return list(groups.items())


def _listed(group: Group, *without: str) -> list[tuple[str, str]]:
    values = group.model_dump(exclude=set(without))
    return [
        (key.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for key, value in values.items()
        if value is not None
    ]
