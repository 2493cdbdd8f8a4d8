"""plans: what each merge is computed from, so that `merge` depends on what it names and on nothing else.

A merge that names another has that one's plan within its own, and computes it on the way. Weights that are `search`ed
are found here, on `compare.select_on`, and what `fisher` and `regmean` learn from each part's training rows is learnt
here. Both take long and are kept (`.state`): a change of one merge searches and learns nothing for another.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from stages.plans import importance, search
from stages.schemas.plans import PLAN_FILE, PLANS_FOLDER, SEARCHES_FILE, Plan, importance_file
from stages.settings.benchmarks import read_benchmarks
from stages.settings.compare import read_compare
from stages.settings.merges import OWN_PARAMETERS, Merge, read_merges
from stages.settings.retrieve import read_retrieve
from stages.settings.seed import read_seed
from stages.settings.train import Train, read_train
from stages.settings.windows import read_windows
from stages.shared import errors, tables

log = logging.getLogger("plans")


def main() -> None:
    merges, seed, train, retrieve, compare = read_merges(), read_seed(), read_train(), read_retrieve(), read_compare()
    metric = read_benchmarks()[compare.select_on].metric or compare.metric
    searching = search.Searching(compare.select_on, metric, retrieve, train.freeze, read_windows(), seed)
    with tables.replacing(PLANS_FOLDER) as draft:
        draft.mkdir()
        planner = Planner(merges, train, seed, searching, draft)
        found = {name: planner.plan(name) for name in merges}
    tables.write_json({name: plan.searched for name, plan in found.items() if plan.searched}, SEARCHES_FILE)
    log.info(f"{len(found):,} merges")


class Planner:
    """Plans of `merges`, each of which it writes to its own folder in `draft` once."""

    def __init__(
        self, merges: dict[str, Merge], train: Train, seed: int, searching: search.Searching, draft: Path
    ) -> None:
        self.merges, self.train, self.seed, self.searching, self.draft = merges, train, seed, searching, draft
        self.found: dict[str, Plan] = {}

    def plan(self, name: str) -> Plan:
        if name not in self.found:
            self.found[name] = self._plan(name, self.merges[name])
        return self.found[name]

    def _plan(self, name: str, merge: Merge) -> Plan:
        folder = self.draft / name
        merged = {part: self.plan(part) for part in merge.parts if part in self.merges}
        folder.mkdir()
        for part in merged:
            for file in sorted((self.draft / part).glob("*.safetensors")):
                shutil.copyfile(file, folder / file.name)
        plan = Plan(
            name=name,
            method=merge.method,
            models=merge.parts,
            weights=list(merge.weights.values()) if merge.weights else None,
            parameters=OWN_PARAMETERS.get(merge.method, {}) | merge.parameters,
            base="study" if merge.on_base else "first" if merge.takes.base == "first" else None,
            layers={part: layers.model_dump(exclude_none=True) for part, layers in merge.layers.items()},
            merged=merged,
        )
        for part in plan.models if merge.takes.learns else ():
            kept = importance.learnt(plan, part, self.train, self.seed)
            shutil.copyfile(kept, importance_file(folder, name, part))
        if merge.search:
            plan = self.searching.found(plan, merge.search, folder)
        tables.write_json(plan.model_dump(exclude_defaults=True), folder / PLAN_FILE)
        return plan


if __name__ == "__main__":
    errors.run(main)
