"""Tiny random checkpoints, laid out as the models of the hub are published."""

import json
from pathlib import Path

WORDS = [f"w{i}" for i in range(40)]
# Of prompts: whole words of every vocabulary here, so that a prompt that is left out, or spelt otherwise, is seen.
PROMPT_WORDS = ["q:", "p:", "query:", "passage:", "Instruct:", "Query:", "Given", "a", "web", "search", "relevant"]


def word_tokenizer(words, **special):
    """A `tokenizers.Tokenizer` that knows `words` and splits at white space."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    names = ["<unk>", *special.values(), *words]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(dict.fromkeys(names))}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def static_model(seed=0, dimension=8, words=WORDS, prompts=None):
    """A StaticEmbedding model with random rows for `words`; 'q:' and 'p:' are words too."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = word_tokenizer([*words, "q:", "p:"])
    table = torch.randn(tokenizer.get_vocab_size(), dimension, generator=torch.Generator().manual_seed(seed))
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=table)], prompts=prompts, device="cpu"
    )
    model.default_prompt_name = None
    return model


BERT = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
ROBERTA = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
# Special tokens, and what a text is put between.
FAMILIES = {
    "bert": (BERT, "[CLS] $A [SEP]"),
    "xlm-r": (ROBERTA, "<s> $A </s>"),
    "custom": (ROBERTA, "<s> $A </s>"),
    "qwen3": ({"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}, "$A <|endoftext|>"),
    # As e5-mistral-7b-instruct is published: tokenizer_config.json promises an </s> that tokenizer.json does not add.
    "mistral": ({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}, "<s> $A"),
}
SIZE = 32
POSITIONS = 64


def save_transformer(folder, family="bert", seed=0, safe=True, words=WORDS, tokenizer=None):
    """A checkpoint as transformers saves it: two random layers of 32 dimensions over `words`, or the pieces of a
    `tokenizer` that has the family's special tokens; 64 positions."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    folder = Path(folder)
    names, template = FAMILIES[family]
    tokenizer = tokenizer or word_tokenizer([*words, *PROMPT_WORDS], **names)
    around = [token for token in template.split() if token != "$A"]
    tokenizer.post_processor = TemplateProcessing(
        single=template, special_tokens=[(t, tokenizer.token_to_id(t)) for t in around]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        # Published decoders state no length of their own worth the name.
        model_max_length=60 if family in ("bert", "xlm-r", "custom") else 131072,
        **names,
    )
    torch.manual_seed(seed)
    model = _model(family, tokenizer.get_vocab_size(), fast.pad_token_id).eval()
    model.save_pretrained(str(folder))
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    fast.save_pretrained(str(folder))
    if family == "mistral":
        _edit(folder / "tokenizer_config.json", add_eos_token=True)
    if family == "custom":
        (folder / "modeling_tiny.py").write_text(CUSTOM_CODE)
        places = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyModel"}
        _edit(folder / "config.json", auto_map=places, architectures=["TinyModel"], model_type="isogloss-tiny")
    return folder


def save_sentence_transformer(
    folder,
    family="bert",
    seed=0,
    prompts=None,
    pooling="cls",
    *,
    normalize=True,
    dense=None,
    max_length=None,
    words=WORDS,
):
    """The same as a sentence-transformers folder: pooling, a Dense module to `dense` dimensions, Normalize.

    The plain checkpoint is beside it, in FOLDER-plain.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    folder = Path(folder)
    plain = save_transformer(folder.with_name(folder.name + "-plain"), family, seed, words=words)
    inner = Transformer(
        str(plain),
        config_kwargs={"trust_remote_code": family == "custom"},
        model_kwargs={"trust_remote_code": family == "custom"},
        processor_kwargs={"trust_remote_code": family == "custom"},
    )
    if max_length:
        inner.max_seq_length = max_length
    modules = [inner, Pooling(SIZE, pooling_mode=pooling)]
    modules += [Dense(SIZE, dense)] if dense else []
    modules += [Normalize()] if normalize else []
    model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    # A folder of the hub holds the prompts it was published with, and no others.
    _edit(folder / "config_sentence_transformers.json", prompts=prompts or {}, default_prompt_name=None)
    if family == "mistral":
        _edit(folder / "tokenizer_config.json", add_eos_token=True)
    return folder


WEB_SEARCH = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
# The hub's name of each architecture, and how such a model is published (see stages/shared/presets.py for sources).
PUBLISHED = {
    "BAAI/bge-m3": {"family": "xlm-r", "pooling": "cls"},
    "intfloat/multilingual-e5-base": {"family": "xlm-r", "pooling": "mean"},
    "FacebookAI/xlm-roberta-base": {"family": "xlm-r", "plain": True},
    "sentence-transformers/LaBSE": {"family": "bert", "pooling": "cls", "dense": SIZE},
    "sentence-transformers/paraphrase-multilingual-mpnet-base-v2": {
        "family": "xlm-r",
        "pooling": "mean",
        "normalize": False,
        "max_length": 48,
    },
    "Alibaba-NLP/gte-multilingual-base": {"family": "custom", "pooling": "cls"},
    "sentence-transformers/static-similarity-mrl-multilingual-v1": {"family": "static"},
    "Qwen/Qwen3-Embedding-0.6B": {
        "family": "qwen3",
        "pooling": "lasttoken",
        "prompts": {"query": WEB_SEARCH, "document": ""},
    },
    "intfloat/e5-mistral-7b-instruct": {
        "family": "mistral",
        "pooling": "lasttoken",
        "prompts": {"web_search_query": WEB_SEARCH + " "},
    },
}


def save_published(folder, name, seed=0, words=WORDS):
    """A folder within `folder`, called and laid out as the hub's model `name` (PUBLISHED), tiny and random."""
    layout = dict(PUBLISHED[name])
    family, plain = layout.pop("family"), layout.pop("plain", False)
    folder = Path(folder) / name.split("/")[-1]
    if family == "static":
        static_model(seed, SIZE, [*words, *PROMPT_WORDS[2:]]).save_pretrained(str(folder), create_model_card=False)
    elif plain:
        save_transformer(folder, family, seed, words=words)
    else:
        save_sentence_transformer(folder, family, seed, words=words, **layout)
    return folder


def save_record(folder, dtype="float32", attention=None, trust_remote_code=False, **more):
    """The record that `base` leaves in a model's folder, in so far as other stages heed it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    record = {"name": "base", "dtype": dtype, "attention": attention, "trust_remote_code": trust_remote_code, **more}
    (Path(folder) / "encoder.json").write_text(json.dumps(record))


def _model(family, vocabulary, padding):
    from transformers import (
        BertConfig,
        BertModel,
        MistralConfig,
        MistralModel,
        Qwen3Config,
        Qwen3Model,
        XLMRobertaConfig,
        XLMRobertaModel,
    )

    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": SIZE,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": padding,
        "initializer_range": 0.5,
    }
    if family in ("qwen3", "mistral"):
        sizes |= {"num_key_value_heads": 1, "head_dim": 16, "initializer_range": 0.2}
        return Qwen3Model(Qwen3Config(**sizes)) if family == "qwen3" else MistralModel(MistralConfig(**sizes))
    sizes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertModel(BertConfig(**sizes)) if family == "bert" else XLMRobertaModel(XLMRobertaConfig(**sizes))


def _edit(file, **changes):
    """Set keys of a JSON file."""
    held = json.loads(file.read_text())
    file.write_text(json.dumps(held | changes, indent=2))


# What a "custom" folder brings: the model of another family under a name that transformers does not know.
CUSTOM_CODE = """
from transformers import XLMRobertaConfig, XLMRobertaModel


class TinyConfig(XLMRobertaConfig):
    model_type = "isogloss-tiny"


class TinyModel(XLMRobertaModel):
    config_class = TinyConfig
"""


def with_tokens_added(folder):
    """Add two tokens to the tokenizer of `folder`, and no rows to its table."""
    from tokenizers import Tokenizer

    file = str(Path(folder) / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.add_tokens(["new1", "new2"])
    tokenizer.save(file)
    return folder
