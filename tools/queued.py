"""python -m tools.queued [-j EXPERIMENTS] [--stages N] [--ray-address ADDRESS [--ray-remote NAME]]: build the queued
experiments as `make repro` builds a study.

DVC's own workers take them from its queue, and `dvc queue status`, `logs`, `stop` and `kill` are as ever; but where a
worker starts `dvc` to build an experiment, it finds the one that is written here, and that has the experiment's own
checkout build it: stages are forked (tools/warm.py) and built side by side (tools/parallel.py), or run by the nodes of
a Ray cluster, which all experiments then share (tools/cluster.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from typing import NoReturn

from stages.shared import errors, tables
from stages.shared.errors import UserError
from tools import cluster, parallel, repro
from tools.lock import ASIDE

# Of this checkout alone; workers outlive this process, and find it where it stays.
COMMAND = ASIDE / "queued" / "dvc"
# What they were told, in their environment.
WORKERS_OPTIONS = "ISOGLOSS_QUEUED"
# Code changes while experiments wait: each is built by its own, or by DVC's where it has none of this.
CODE = """
import json, sys
words = sys.argv[1:]
if words[:2] == ["exp", "exec-run"]:
    with open(words[words.index("--infofile") + 1]) as file:
        folder = json.load(file)["root_dir"]
    sys.path[0] = folder
    try:
        from tools.queued import as_dvc
    except ImportError:
        pass
    else:
        as_dvc(words, folder)
from dvc.cli import main
sys.exit(main(words))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.queued")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="experiments at once")
    parser.add_argument("--stages", type=int, help="stages at once in each; else its share of what one build has")
    cluster.add_options(parser)
    given = parser.parse_args()
    nodes = cluster.nodes_of(given)
    for option, number in (("--jobs", given.jobs), ("--stages", given.stages)):
        if number is not None and number < 1:
            raise UserError(f"{option} {number}: write a number from 1 on")
    if given.jobs > 1 and not nodes and parallel.this_machine().free_gpus:
        raise UserError(
            f"--jobs {given.jobs}: experiments would take each other's GPUs: leave it out, or have Ray count them "
            "(`ray start --head`, then --ray-address auto)"
        )
    from dvc.repo import Repo

    queue = Repo().experiments.celery_queue
    if queue.worker_status():
        raise UserError(
            "workers are running already, as they were told: `dvc queue stop` ends them after what they build"
        )
    with tables.replacing(COMMAND) as draft:
        draft.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-c", CODE])} "$@"\n', encoding="utf-8")
        draft.chmod(0o755)
    os.environ["PATH"] = f"{COMMAND.parent.resolve()}{os.pathsep}{os.environ['PATH']}"
    os.environ[WORKERS_OPTIONS] = json.dumps(vars(given))
    print(f"workers started: {queue.start_workers(given.jobs)}; `dvc queue status` and `dvc queue logs NAME` say more")


def as_dvc(words: list[str], folder: str) -> NoReturn:
    """Be `dvc` with these `words`, which build the experiment in `folder`."""
    # Workers may have been started by a version that knew fewer options.
    told = {"ray_remote": None} | json.loads(os.environ.pop(WORKERS_OPTIONS))
    nodes = cluster.nodes_of(argparse.Namespace(**told))
    errors.run(lambda: repro.build(words, told["stages"], nodes, folder, told["jobs"]))
    raise AssertionError("a build ends the process")


if __name__ == "__main__":
    errors.run(main)
