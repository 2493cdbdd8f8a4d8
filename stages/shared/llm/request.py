"""A request to a language model, the key by which its reply is found again, and the reply."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel

from stages.settings.llm import Llm

Messages = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Request:
    """What is asked. `stand_in` is a reply of about the length and form to be expected, for estimates."""

    llm: Llm
    messages: Messages
    form: type[BaseModel]
    stand_in: str

    @cached_property
    def key(self) -> str:
        """SHA-256, in hexadecimal, of all that shapes the reply: model, parameters, messages, schema, seed."""
        shaping = {
            "model": self.llm.model,
            "parameters": self.llm.parameters,
            "messages": self.messages,
            "schema": schema(self.form),
            "seed": self.llm.seed,
        }
        return hashlib.sha256(_json(shaping, sort_keys=True).encode()).hexdigest()

    @cached_property
    def size(self) -> int:
        """Bytes of UTF-8 in the messages and the schema: no tokenizer makes more tokens of them than this."""
        return sum(len(m["content"].encode()) for m in self.messages) + len(_json(schema(self.form)).encode())

    def body(self, structured: str) -> dict[str, Any]:
        """The fields of a Chat Completions call; `structured` is how the form is asked for: schema, json or none."""
        body: dict[str, Any] = {"model": self.llm.model, "messages": list(self.messages), **self.llm.parameters}
        if self.llm.seed is not None:
            body["seed"] = self.llm.seed
        if structured == "schema":
            named = {"name": self.form.__name__.lower(), "strict": True, "schema": schema(self.form)}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif structured == "json":
            body["response_format"] = {"type": "json_object"}
        return body


class Reply(NamedTuple):
    """What the model said. Token counts are None where the endpoint gave none."""

    content: str | None
    finish: str = "stop"
    refusal: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


# How a reply ends that was cut off at its greatest length, one that is withheld, and what is none: broken off.
CUT_OFF, WITHHELD, BROKEN_OFF = "length", "content_filter", "error"
# How a reply ends that nobody gave: `Request.stand_in`, in a dry run.
STAND_IN = "stand-in"
# How a recorded reply ends that never came: its `refusal` says why.
REFUSED = "refused"


class Failed(Exception):
    """A task cannot be done; the message is its row in the table of failures."""


# A task's steps: it yields requests, is sent their replies, and returns what it makes of them, or raises Failed.
Steps = Generator[Request, Reply, Any]


@cache
def schema(form: type[BaseModel]) -> dict[str, Any]:
    """The form's JSON schema, without the titles that pydantic adds."""
    return _untitled(form.model_json_schema())


def _untitled(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _untitled(v) for k, v in node.items() if not (k == "title" and isinstance(v, str))}
    return [_untitled(v) for v in node] if isinstance(node, list) else node


def _json(value: Any, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=sort_keys, separators=(",", ":"))
