"""The study's settings as the page lists them."""

from __future__ import annotations

import json

from stages.report.study import Study
from stages.settings.types import Group


def settings(study: Study) -> list[tuple[str, list[tuple[str, str]]]]:
    """The settings to know when reading the numbers; those left to the model are not listed."""
    # Not counted here: training has long been done, and maybe elsewhere.
    threads = (
        "1, whatever the machine has"
        if study.base.name == "static"
        else "as many as torch took (OMP_NUM_THREADS; 1 of a static embedding): the last digits of weights depend on it"
    )
    study_wide = [("languages", ", ".join(study.languages)), ("seed", str(study.seed)), ("training threads", threads)]
    groups = {"Study": study_wide}
    if study.base.name == "static":
        groups["Bootstrap of the base"] = _listed(study.base.static)
    groups |= {"Training of each recipe": _listed(study.train), "Comparison": _listed(study.compare)}
    return list(groups.items())


def _listed(group: Group) -> list[tuple[str, str]]:
    values = group.model_dump()
    return [
        (key.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for key, value in values.items()
        if value is not None
    ]
