"""The trunk that models share (`train.freeze`), at a large encoder's size: what it costs once, and each model then.

python benchmarks/trunk.py [--texts 60] [--tokens 128] [--frozen 20] [--model FOLDER]

makes texts of so many tokens, and an encoder of XLM-R-large's shape with random weights (24 layers, 1,024 dimensions),
or takes that of `--model`. For the whole model, and for the trunk in half precision and in 8 bits, each a process of
its own, it prints the seconds a text of computing states, of encoding it with them at hand, what it takes on disk, the
peak of memory (Linux), and the lowest cosine with the whole model's vectors. Random layers say nothing of what 8 bits
cost a trained one: `--model models/base` of a study does. A million texts are by slope.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAYS = ("whole", "half", "int8")
WORDS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("texts", 60), ("tokens", 128), ("frozen", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--model", type=Path, help="a folder; else one of XLM-R-large's shape is made")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        measure(given.model, given.way, given.texts, given.tokens, given.frozen)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or made(Path(folder) / "model")
        for way in WAYS:
            told = [f"--{name}={getattr(given, name)}" for name in ("texts", "tokens", "frozen")]
            command = [
                sys.executable,
                str(Path(__file__).resolve()),
                f"--model={model.resolve()}",
                f"--way={way}",
                *told,
            ]
            subprocess.run(command, cwd=folder, check=True)
            shutil.rmtree(Path(folder) / ".state", ignore_errors=True)


def made(folder: Path) -> Path:
    """A model of XLM-R-large's shape whose weights are random, and whose tokenizer knows a word for each token."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    words = {name: row for row, name in enumerate(["<s>", "<pad>", "</s>", "<unk>", *(f"w{n}" for n in range(WORDS))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    shape = {"num_hidden_layers": 24, "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096}
    config = XLMRobertaConfig(vocab_size=250_002, max_position_embeddings=514, type_vocab_size=1, **shape)
    plain = folder.with_name("plain")
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(plain)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(plain)
    modules = [Transformer(str(plain)), Pooling(config.hidden_size, pooling_mode="mean")]
    modules[0].max_seq_length = 512
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
    shutil.rmtree(plain)
    return folder


def measure(folder: Path, way: str, count: int, tokens: int, frozen: int) -> None:
    sys.path.insert(0, str(ROOT))
    import numpy as np
    from sentence_transformers import SentenceTransformer

    from stages.settings.freeze import Freeze
    from stages.shared import trunk
    from stages.shared.encoder import TransformerEncoder

    model = SentenceTransformer(str(folder), local_files_only=True)
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in rng.integers(WORDS, size=tokens)) for _ in range(count)]
    model.max_seq_length = tokens
    cut = trunk.share(model, Freeze(layers=frozen, embeddings=True, precision=way)) if way != "whole" else None
    parts = []
    if cut:
        began = time.perf_counter()
        cut.prepare(texts, "passage")
        taken = sum(file.stat().st_size for file in Path().rglob("states/**/*.safetensors"))
        parts += [
            f"states {(time.perf_counter() - began) / count:.3f} s and {taken / count / 1e3:.0f} kB a text",
        ]
    began = time.perf_counter()
    vectors = TransformerEncoder(model, 16, None, cut).encode(texts, "passage")
    parts.append(f"encoded in {(time.perf_counter() - began) / count:.3f} s a text")
    whole = Path("whole.npy")
    if cut:
        parts.append(f"lowest cosine {(vectors * np.load(whole)).sum(axis=1).min():.7f}")
    else:
        np.save(whole, vectors)
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    parts.append(f"peak {int(peak[1]) / 2**20:.2f} GiB" if peak else "")
    print(f"{way:<6} {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
