"""DVC's own time on the current study: the graph of dvc.yaml with stages that do nothing but make their outputs.

python benchmarks/overhead.py prints the number of stages, and the seconds of a first build and of one that finds
nothing to do, of `dvc repro` and of `python -m tools.repro`, each in a checkout of its own. The commands are `mkdir`
and `touch`, so that nearly all of the time is DVC's.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]


def outputs(stage: dict) -> list[str]:
    """The paths of all that a stage makes."""
    return [
        next(iter(out)) if isinstance(out, dict) else out
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]


def make_outputs(stage: dict) -> str:
    """A shell command that makes the outputs of a stage: a folder with a file, or a file if the name has an ending."""
    commands = []
    for out in outputs(stage):
        if Path(out).suffix:
            commands.append(f"mkdir -p {Path(out).parent} && echo '{{}}' > {out}")
        else:
            commands.append(f"mkdir -p {out} && echo {out} > {out}/file")
    return " && ".join(commands)


def main() -> None:
    yaml = YAML()
    graph = yaml.load(ROOT / "dvc.yaml")
    bodies = [stage.get("do", stage) for stage in graph["stages"].values()]
    made = {output for body in bodies for output in outputs(body)}
    for body in bodies:
        body["cmd"] = make_outputs(body)
        # These outputs hold one file: depend on the whole where the real stage depends on a part.
        body["deps"] = [next((whole for whole in made if path.startswith(f"{whole}/")), path) for path in body["deps"]]
    for build in (["dvc", "repro"], [sys.executable, "-m", "tools.repro"]):
        with tempfile.TemporaryDirectory() as folder:
            checkout = Path(folder) / "checkout"
            kept = ["git", "ls-files", "stages", "tools", "data", "models", "params.yaml"]
            for file in subprocess.run(kept, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
                (checkout / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, checkout / file)
            yaml.dump(graph, checkout / "dvc.yaml")
            for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
                subprocess.run(command, cwd=checkout, check=True)
            listed = subprocess.run(["dvc", "stage", "list"], cwd=checkout, check=True, capture_output=True, text=True)
            for what in ("first", "with nothing to do"):
                began = time.perf_counter()
                subprocess.run([*build], cwd=checkout, check=True)
                taken = time.perf_counter() - began
                print(f"{' '.join(build[-2:])}, {what}: {taken:.1f} s for {len(listed.stdout.splitlines())} stages")


if __name__ == "__main__":
    main()
