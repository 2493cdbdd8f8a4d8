"""python -m tools.queued [-j EXPERIMENTS] [--stages N] [--ray-address ADDRESS]: build the queued experiments as `make
repro` builds a study.

DVC's own workers take them from its queue, and `dvc queue status`, `logs`, `stop` and `kill` are as ever; but where a
worker builds an experiment, by a command `dvc` of its own, that is this one: stages are forked (tools/warm.py) and
built side by side (tools/parallel.py), or run by the nodes of a Ray cluster, which all experiments then share
(tools/cluster.py).
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from stages.shared import errors, tables
from stages.shared.errors import UserError
from stages.shared.state import STATE
from tools import repro

COMMAND = STATE / "queued" / "dvc"
OF_ONE = ["exp", "exec-run"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.queued")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="experiments at once")
    parser.add_argument("--stages", type=int, help="stages at once in each; else all together as many as in one build")
    parser.add_argument("--ray-address", help="run stages on the nodes of this Ray cluster; auto: the one of here")
    given = parser.parse_args()
    for option, number in (("--jobs", given.jobs), ("--stages", given.stages)):
        if number is not None and number < 1:
            raise UserError(f"{option} {number}: write a number from 1 on")
    # Workers outlive this process: they find it where it stays.
    how = f"{given.stages!r}, {given.ray_address!r}, {given.jobs}"
    code = f"import sys; sys.path.insert(0, {str(Path.cwd())!r}); from tools.queued import as_dvc; as_dvc({how})"
    tables.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-c", code])} "$@"\n', COMMAND)
    COMMAND.chmod(0o755)
    environment = os.environ | {"PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "dvc", "queue", "start", "--jobs", str(given.jobs)]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


def as_dvc(stages: int | None, ray_address: str | None, experiments: int) -> None:
    """Be `dvc`, which builds an experiment so."""
    from dvc import cli
    from dvc.repo.experiments.executor.base import ExecutorInfo

    words = sys.argv[1:]
    if words[: len(OF_ONE)] != OF_ONE:
        sys.exit(cli.main(words))
    info = ExecutorInfo.load_json(words[words.index("--infofile") + 1])
    # Its params say how it is built.
    os.chdir(Path(info.root_dir) / (info.wdir or ""))
    errors.run(lambda: repro.build(words, stages, ray_address, experiments))


if __name__ == "__main__":
    errors.run(main)
