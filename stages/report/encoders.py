"""The base, the teacher and references: how each was run, and with which prompts."""

from __future__ import annotations

from typing import Any, NamedTuple

from stages.settings.encoders import PretrainedEncoder

TRAITS = (
    "revision",
    "from",
    "weights",
    "vocabulary",
    "pooling",
    "max_length",
    "dtype",
    "attention",
    "padding",
    "dimension",
)


class ShownEncoder(NamedTuple):
    """An encoder as it was run."""

    role: str  # base, teacher, or a reference's name
    name: str
    traits: list[tuple[str, str]]
    prompts: list[tuple[str, str]]  # those that are not empty
    note: str  # why there are no prompts
    doubtful: bool  # that none are used may be a mistake
    pooling_note: str = ""  # why its pooling may be a mistake


def encoder(role: str, settings: PretrainedEncoder, record: dict[str, Any]) -> ShownEncoder:
    """`record` says how the encoder that `settings` name was run; the teacher's may say that it is the base."""
    if role == "teacher" and record.get("name") == "base":
        return ShownEncoder(role, "the base", [], [], "", False)
    prompts, traits = _as_run(record)
    note, doubtful = ("", False) if prompts else _silence(role, settings, record)
    pooling_note = ""
    if record.get("pooling_assumed"):
        pooling_note = f"the model states none; if it was trained with another, set {role}.pooling"
    return ShownEncoder(role, str(record.get("name", settings.name)), traits, prompts, note, doubtful, pooling_note)


def reference(name: str, record: dict[str, Any]) -> ShownEncoder:
    """`record` says how the reference, fusion or re-ranked row `name` was run."""
    prompts, traits = _as_run(record)
    own = ("k1", "b", "k", "model", "lexicon", "by", "into", "side", "reranker", "first_stage", "depth")
    traits += [(trait.replace("_", " "), str(record[trait])) for trait in own if trait in record]
    if untranslated := record.get("untranslated"):
        traits.append(("not translated", ", ".join(f"{lang} {count:,}" for lang, count in untranslated.items())))
    if "of" in record:
        traits.append(("of", ", ".join(record["of"])))
    for benchmark, count in record.get("ranks_unknown", {}).items():
        lacking = f"not known: {count:,} relevant passages are in none of its runs"
        traits.append((f"language bias on {benchmark}", lacking))
    return ShownEncoder(name, str(record["name"]), traits, prompts, "", False)


def _as_run(record: dict[str, Any]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Prompts and traits."""
    prompts = [(name, text) for name, text in (record.get("prompts") or {}).items() if text]
    traits = [(trait.replace("_", " "), str(record[trait])) for trait in TRAITS if record.get(trait) is not None]
    for key, trait in (("unknown", "unknown tokens"), ("out_of_lexicon", "out of the lexicon")):
        if by_lang := record.get(key):
            traits.append((trait, ", ".join(f"{lang} {share:.0%}" for lang, share in by_lang.items())))
    if told := record.get("windows"):
        several = f"{told['several']:,} of {told['documents']:,} documents have several"
        traits.append(("windows", f"{several}; {told['mean']} on average"))
    if record.get("trust_remote_code"):
        traits.append(("code", "of the model's authors"))
    return prompts, traits


def _silence(role: str, settings: PretrainedEncoder, record: dict[str, Any]) -> tuple[str, bool]:
    """Why an encoder is run without prompts, and whether that may be a mistake."""
    if settings.name == "static":
        return "it was trained without", False
    if settings.prompts is not None:
        return f"{role}.prompts says so", True
    if record.get("preset"):
        return f"{record['preset']} needs none", False
    return (
        f"the model states none, and is not known to need none; if it was trained with some, its scores are too low: "
        f"set {role}.prompts",
        True,
    )
