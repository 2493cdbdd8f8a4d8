"""Requests to a language model, and the key by which a reply is found again.

A key covers everything that shapes the reply: the model and the full messages, so the prompt too. A changed prompt
never meets a stale reply.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import jinja2
import polars as pl

from stages.shared.errors import UserError
from stages.shared.languages import language_name

PROMPTS = Path(__file__).parent / "prompts"


class Request(NamedTuple):
    """One request: what it is about (`passage`, `lang`), and what is sent."""

    passage: str
    lang: str
    model: str
    messages: tuple[dict[str, str], ...]

    @property
    def key(self) -> str:
        """SHA-256, in hexadecimal, of all that is sent."""
        sent = json.dumps(
            {"model": self.model, "messages": self.messages},
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(sent.encode()).hexdigest()


def for_passages(passages: pl.DataFrame, prompt: str, model: str, count: int) -> list[Request]:
    """A request for `count` queries for each row of `passages` (tables.PASSAGES), in the row's language."""
    file = PROMPTS / f"{prompt}.md"
    if not file.is_file():
        known = ", ".join(sorted(f.stem for f in PROMPTS.glob("*.md")))
        raise UserError(f"synthesize.prompt is {prompt!r}, but {PROMPTS.name}/ has {known}: name one or add the file")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(file.read_text(encoding="utf-8"))
    requests = []
    for row in passages.iter_rows(named=True):
        text = template.render(language=language_name(row["lang"]), count=count, title=row["title"], text=row["text"])
        requests.append(Request(row["passage"], row["lang"], model, ({"role": "user", "content": text},)))
    return requests
