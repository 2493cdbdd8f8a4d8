"""A knowledge base in use: what loading its index takes, how many queries a second it answers, and what a change costs.

python benchmarks/answer.py [--entries 35000] [--queries 20000] makes a static model of random rows and random labelled
texts of its words in a temporary folder, builds the stage `index` there anew and after changes, and asks
`python -m tools.answer` as a process of its own. Everything is timed from start to end of a process, imports included;
the texts encoded are those that the stage reports.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.fakes.checkpoints import static_model  # noqa: E402

WORDS = [f"w{i}" for i in range(8000)]
LABELS = 150
MODEL, ENTRIES, QUERIES = Path("models/base"), Path("entries.jsonl"), Path("queries.jsonl")


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, length)) for length in rng.integers(4, 20, count)]


def write(rows: list[dict[str, Any]], file: Path) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(*command: str, **how: Any) -> tuple[float, str]:
    """Seconds that `python -m COMMAND` takes, and what it says on the way."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *command], env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, **how
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr.decode())
    return seconds, done.stderr.decode()


def prepare(entries: int) -> list[dict[str, Any]]:
    """Write the model and params.yaml here; return the entries."""
    static_model(dimension=256, words=WORDS).save_pretrained(str(MODEL), create_model_card=False)
    yaml = YAML()
    tree = yaml.load(ROOT / "params.yaml")
    columns = {"id": "id", "text": "text", "label": "label"}
    tree["indexes"] = {"kb": {"model": str(MODEL), "path": str(ENTRIES), "columns": columns}}
    yaml.dump(tree, Path("params.yaml"))
    return [{"id": f"e{i}", "label": f"l{i % LABELS}", "text": text} for i, text in enumerate(texts(entries, 0))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=35_000)
    parser.add_argument("--queries", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        rows = prepare(arguments.entries)
        spread = set(range(0, len(rows), 100))
        changed = [r | {"text": r["text"] + " w1 w2"} if i in spread else r for i, r in enumerate(rows)]
        print(
            f"The index of {len(rows):,} entries, dimension 256:\n\n"
            "| change | seconds | texts encoded |\n| --- | --: | --: |"
        )
        for name, state in {
            "all new": rows,
            "nothing": rows,
            "1 % changed": changed,
            "1 removed": changed[:-1],
            "1 added": [*changed[:-1], {"id": "new", "label": "l0", "text": "w3 w4 w5"}],
        }.items():
            write(state, ENTRIES)
            seconds, said = run("stages.index", "kb")
            (encoded,) = re.findall(r"passage: ([\d,]+) of", said)
            print(f"| {name} | {seconds:.2f} | {encoded} |", flush=True)
        answer = ["tools.answer", "--model", str(MODEL)]
        times = sorted(run(*answer, "w1 w2 w3", stdout=subprocess.DEVNULL)[0] for _ in range(5))
        bare = sorted(run("this", stdout=subprocess.DEVNULL)[0] for _ in range(5))
        print(f"\nOne answer: {times[2]:.2f} s from start to end of the process (Python alone {bare[2]:.2f} s)")
        write([{"id": i, "text": text} for i, text in enumerate(texts(arguments.queries, 1))], QUERIES)
        seconds, _ = run(*answer, "--jsonl", str(QUERIES), stdout=subprocess.DEVNULL)
        print(
            f"{arguments.queries:,} queries through --jsonl: {arguments.queries / (seconds - times[2]):,.0f} a second"
        )


if __name__ == "__main__":
    main()
