"""Files of the format E5S1: a BERT encoder with 4-bit weights and its tokenizer, made a transformers folder.

The layout, little-endian: the magic `E5S1`; u32 version; i32 hidden size, layers, heads, intermediate size, rows of the
vocabulary, positions, token types; f32 epsilon of the layer norms; i32 weights of a block (32).

The tokenizer: i32 pieces, and the ids of <s>, </s>, <pad>, <unk>; u64 bytes of all pieces; u32 offsets [pieces + 1];
f32 scores [pieces]; the bytes. Its normaliser: i32 characters, u32 bytes; of each character u32 code point, u8 n, and
u32 code points that it becomes [n].

The tensors: i32 number; of each u16 length and name, u8 type, u32 numbers, u64 offset, u64 bytes. Type 0 is f32; type 1
is in blocks of an f16 scale and 16 bytes, whose low nibbles are the weights 0 to 15 and the high ones 16 to 31, each
minus 8.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sentencepiece
from safetensors.numpy import save_file
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from stages.shared.errors import UserError

BLOCK_WEIGHTS = 32
# The file's names of a layer's tensors, and BERT's.
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class Shape(NamedTuple):
    hidden: int
    layers: int
    heads: int
    intermediate: int
    rows: int
    positions: int
    types: int


class Reader:
    """Numbers of a file one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.content, kind, count, self.at)
        self.at += found.nbytes
        return found

    def bytes(self, count: int) -> bytes:
        found = self.content[self.at : self.at + count]
        if len(found) < count:
            raise struct.error("the file ends early")
        self.at += count
        return found


def convert(content: bytes, folder: Path) -> None:
    """Write the model in `content` as transformers saves one: config, weights in float32, and a fast tokenizer.

    Raises `UserError` if it is not whole, or of another format.
    """
    if content[:4] != b"E5S1":
        raise UserError("the weights are not of the format E5S1: is it another file?")
    reader = Reader(content)
    try:
        reader.at = 4
        (version,) = reader.take("I")
        shape = Shape(*reader.take("7i"))
        epsilon, block = reader.take("fi")
        if (version, block) != (1, BLOCK_WEIGHTS):
            raise UserError(
                f"the weights are of E5S1 version {version} with blocks of {block}: this code reads version 1 and 32"
            )
        tokenizer, special = _tokenizer(reader)
        tensors = _tensors(reader, shape)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise UserError(f"the weights are cut short, or not of the format E5S1 ({error})") from None
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, shape, epsilon, tokenizer, special, tensors)


def _tokenizer(reader: Reader) -> tuple[Tokenizer, dict[str, int]]:
    """XLM-R's: Unigram over whitespace-split words with ▁ before each, after the file's own normaliser."""
    pieces, bos, eos, pad, unk = reader.take("5i")
    (size,) = reader.take("Q")
    offsets, scores = reader.array("<u4", pieces + 1), reader.array("<f4", pieces)
    words = reader.bytes(size)
    vocabulary = [
        (words[begin:end].decode(), float(score))
        for begin, end, score in zip(offsets[:-1].tolist(), offsets[1:].tolist(), scores, strict=True)
    ]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unk))
    # Decomposed characters are put together as well, which the table of single ones cannot.
    charsmap = normalizers.Precompiled(_charsmap(reader))
    tokenizer.normalizer = normalizers.Sequence([charsmap, normalizers.NFC()])
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    special = {vocabulary[number][0]: number for number in (bos, pad, eos, unk)}
    if vocabulary[-1][0] == "<mask>":
        special["<mask>"] = pieces - 1
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in special])
    first, last = vocabulary[bos][0], vocabulary[eos][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} {last} $B {last}",
        special_tokens=[(first, bos), (last, eos)],
    )
    return tokenizer, special


def _charsmap(reader: Reader) -> bytes:
    """The table of the normaliser, as sentencepiece compiles one and tokenizers reads it."""
    characters, _ = reader.take("iI")
    rules = []
    for _ in range(characters):
        point, count = reader.take("IB")
        rules.append(f"{point:X}\t{' '.join(f'{to:X}' for to in reader.take(f'{count}I'))}\n")
    trained = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules.tsv"
        file.write_text("".join(rules), encoding="utf-8")
        # What is trained does not matter: its normaliser is what is wanted.
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c", "b c d"] * 10),
            model_writer=trained,
            vocab_size=10,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(file),
            minloglevel=2,
        )
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString(trained.getvalue())
    return bytes(model.normalizer_spec.precompiled_charsmap)


def _tensors(reader: Reader, shape: Shape) -> dict[str, np.ndarray]:
    """All tensors under BERT's names, float32."""
    sizes = {
        **dict.fromkeys(("q.w", "k.w", "v.w", "ao.w"), (shape.hidden, shape.hidden)),
        "fi.w": (shape.intermediate, shape.hidden),
        "fo.w": (shape.hidden, shape.intermediate),
        "emb.word": (shape.rows, shape.hidden),
        "emb.pos": (shape.positions, shape.hidden),
        "emb.type": (shape.types, shape.hidden),
    }
    found = {}
    (number,) = reader.take("i")
    for _ in range(number):
        (length,) = reader.take("H")
        name = reader.bytes(length).decode()
        kind, count, offset, size = reader.take("BIQQ")
        raw = np.frombuffer(reader.content, np.uint8, size, offset)
        values = _dequantised(raw) if kind == 1 else raw.view("<f4")
        if values.size != count:
            raise ValueError(f"{name} has {values.size} numbers, not {count}")
        inner = name.split(".", 1)[1] if name.startswith("l") else name
        found[_bert(name)] = np.ascontiguousarray(values.reshape(sizes.get(inner, (count,))), np.float32)
    wanted = {_bert(name) for name in EMBEDDINGS} | {
        _bert(f"l{layer}.{part}.{end}") for layer in range(shape.layers) for part in LAYER for end in "wb"
    }
    if missing := sorted(wanted - set(found)):
        raise ValueError(f"it has no {missing[0]}")
    return found


def _bert(name: str) -> str:
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    layer, part, end = name.removeprefix("l").split(".")
    return f"encoder.layer.{layer}.{LAYER[part]}.{'weight' if end == 'w' else 'bias'}"


def _dequantised(raw: np.ndarray) -> np.ndarray:
    """4-bit blocks (uint8, [18 x blocks]) as float32, shape [32 x blocks]."""
    blocks = raw.reshape(-1, 18)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    return ((nibbles.astype(np.float32) - 8) * scales).reshape(-1)


def _write(
    folder: Path,
    shape: Shape,
    epsilon: float,
    tokenizer: Tokenizer,
    special: dict[str, int],
    tensors: dict[str, np.ndarray],
) -> None:
    # A pooler, which the file lacks and nothing reads: transformers would make one up, another each time.
    pooler = {
        "pooler.dense.weight": np.zeros((shape.hidden, shape.hidden), np.float32),
        "pooler.dense.bias": np.zeros(shape.hidden, np.float32),
    }
    save_file(tensors | pooler, folder / "model.safetensors", {"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    bos, pad, eos, unk, *_ = special
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.rows,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.types,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "hidden_act": "gelu",
        "pad_token_id": special[pad],
        "dtype": "float32",
    }
    words = {"bos_token": bos, "eos_token": eos, "unk_token": unk, "pad_token": pad, "cls_token": bos, "sep_token": eos}
    if "<mask>" in special:
        words["mask_token"] = "<mask>"
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": shape.positions, **words}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
