"""DVC's own time on the current study: the graph of dvc.yaml with stages that do nothing but make their outputs.

python benchmarks/overhead.py prints the number of stages, the seconds of a first `dvc repro` and of one that finds
nothing to do. The commands are `mkdir` and `touch`, so that nearly all of the time is DVC's.
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]


def make_outputs(stage: dict) -> str:
    """A shell command that makes the outputs of a stage: a folder with a file, or a file if the name has an ending."""
    outputs = [
        next(iter(out)) if isinstance(out, dict) else out
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]
    commands = []
    for out in outputs:
        if Path(out).suffix:
            commands.append(f"mkdir -p {Path(out).parent} && echo '{{}}' > {out}")
        else:
            commands.append(f"mkdir -p {out} && echo {out} > {out}/file")
    return " && ".join(commands)


def main() -> None:
    yaml = YAML()
    graph = yaml.load(ROOT / "dvc.yaml")
    for stage in graph["stages"].values():
        body = stage.get("do", stage)
        body["cmd"] = make_outputs(body)
        # These outputs hold one file: depend on the whole where the real stage depends on a part.
        wholes = {
            "data/trainsets/${key}": "data/trainsets",
            "data/synthetic/passages.parquet": "data/synthetic",
            "models/base/config_sentence_transformers.json": "models/base",
        }
        body["deps"] = [wholes.get(path, path) for path in body["deps"]]
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        for needed in ("stages", "data/collection"):
            shutil.copytree(ROOT / needed, checkout / needed)
        shutil.copy(ROOT / "params.yaml", checkout)
        yaml.dump(graph, checkout / "dvc.yaml")
        for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
            subprocess.run(command, cwd=checkout, check=True)
        listed = subprocess.run(["dvc", "stage", "list"], cwd=checkout, check=True, capture_output=True, text=True)
        print(f"{len(listed.stdout.splitlines())} stages")
        for what in ("first dvc repro", "dvc repro with nothing to do"):
            began = time.perf_counter()
            subprocess.run(["dvc", "repro", "-q"], cwd=checkout, check=True)
            print(f"{what}: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
