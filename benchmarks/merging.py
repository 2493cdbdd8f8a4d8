"""How much memory merging takes, by the number of models.

python benchmarks/merging.py [--vocabulary 60000] [--hidden 512] [--layers 6] [--method linear] [--models 2 4 8 12]

makes random models of XLM-R's architecture on disk (of 200 MB each, unless told otherwise), merges so many of them with
`stages.shared.merging`, and with `SentenceTransformer.merge`, which loads all, each in a process of its own, and prints
the peak of each process's memory (Linux).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

WAYS = {
    "stream": """
from stages.schemas.plans import Plan
from stages.shared import merging
takes = {{"weights": [1.0] * len(names)}} if {method!r} in ("linear", "ties") else {{}}
base = "study" if {method!r} == "ties" else None
merging.save(Plan(name="m", method={method!r}, models=names, base=base, **takes), Path("out"), Path("."), 1)
""",
    "library": """
from sentence_transformers import SentenceTransformer
base = {{"base_model": "models/base"}} if {method!r} == "ties" else {{}}
SentenceTransformer.merge([f"models/trained/{{name}}" for name in names], {method!r}, **base).save_pretrained("out")
""",
}
BEFORE = """
import re, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import torch, sentence_transformers, mergekit.merge_methods
names = [f"m{{number}}" for number in range({count})]
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
start = peak()
"""
AFTER = """
print("PEAK", peak() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("vocabulary", 60_000), ("hidden", 512), ("layers", 6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--method", default="linear", help="linear, karcher or ties")
    parser.add_argument("--models", type=int, nargs="+", default=[2, 4, 8, 12])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        size = make(max(given.models), given.vocabulary, given.hidden, given.layers)
        print(f"{given.method}; a model has {size:,.0f} MB; peak of a process beyond what its imports take, MB")
        for count in given.models:
            peaks = {way: peak(way, given.method, count) for way in WAYS}
            print(f"{count:>3} models: " + ", ".join(f"{way} {value:,.0f}" for way, value in peaks.items()))


def make(count: int, vocabulary: int, hidden: int, layers: int) -> float:
    """Save the models as a study has them; return the size of one in MB."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import XLMRobertaConfig, XLMRobertaModel

    from stages.shared import seeds
    from tests.fakes.checkpoints import save_record, save_transformer

    plain = save_transformer(Path("plain"), "xlm-r", words=[f"w{number}" for number in range(vocabulary - 20)])
    sizes = {"vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": 4 * hidden}
    config = XLMRobertaConfig(**sizes, num_hidden_layers=layers, num_attention_heads=8, pad_token_id=1)
    size = 0.0
    for name in ("base", *(f"trained/m{number}" for number in range(count))):
        torch.manual_seed(seeds.number(name))
        XLMRobertaModel(config).save_pretrained("plain")
        model = SentenceTransformer(modules=[Transformer(str(plain)), Pooling(hidden)], device="cpu")
        model.save_pretrained(f"models/{name}", create_model_card=False)
        save_record(f"models/{name}")
        size = Path(f"models/{name}/model.safetensors").stat().st_size / 2**20
    return size


def peak(way: str, method: str, count: int) -> float:
    code = (BEFORE + WAYS[way] + AFTER).format(root=str(ROOT), count=count, method=method)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    found = re.search(r"PEAK (\S+)", done.stdout)
    if not found:
        sys.exit(done.stderr)
    return float(found[1])


if __name__ == "__main__":
    main()
