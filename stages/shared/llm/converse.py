"""One exchange with the model: ask in a form, read the reply, ask again with the reason if it is no use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from stages.settings.llm import Llm
from stages.shared.llm.answer import read
from stages.shared.llm.request import CUT_OFF, REFUSED, STAND_IN, WITHHELD, Failed, Messages, Reply, Request


class Form(BaseModel):
    """What a reply must hold: exactly these fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


# Halves of surrogate pairs: JSON can spell them, and no file can hold them.
HALVES = re.compile("[\ud800-\udfff]")


def _text(text: str) -> str:
    if HALVES.search(text):
        raise ValueError("a text with half a character")
    return " ".join(text.split())


def _filled(text: str) -> str:
    if not (text := _text(text)):
        raise ValueError("an empty text")
    return text


# Constraints are checked by validators rather than declared: not every server's schemas know minLength.
Text = Annotated[str, AfterValidator(_text)]
Filled = Annotated[str, AfterValidator(_filled)]

# Characters of a reply, far more than any form takes; to read one with all that may stand in it takes its square.
LONGEST_REPLY = 1_000_000

F = TypeVar("F", bound=Form)


def ask(
    llm: Llm, prompt: str, form: type[F], stand_in: dict[str, Any], check: Callable[[F], str | None]
) -> Generator[Request, Reply, F]:
    """Steps that yield requests until a reply fills `form` and `check` finds nothing wrong with it.

    `check` returns what is wrong, or None. After `llm.reasks` further tries a reply that has the form is taken as it
    is, for the filters to judge; raises `Failed` if none had it, or if the model refuses.
    """
    messages: Messages = ({"role": "user", "content": prompt},)
    usable: F | None = None
    problem = ""
    for _ in range(llm.reasks + 1):
        reply = yield Request(llm, messages, form, json.dumps(stand_in, ensure_ascii=False))
        if reply.finish == REFUSED:
            raise Failed(reply.refusal or "no reply")
        if reply.refusal:
            raise Failed(f"refused: {_short(reply.refusal)}")
        if reply.finish == WITHHELD:
            raise Failed("withheld by the endpoint's content filter")
        content = reply.content or ""
        if len(content) > LONGEST_REPLY:
            raise Failed(f"a reply of {len(content):,} characters, where {LONGEST_REPLY:,} are read at most")
        try:
            value = read(content, form, cut_off=reply.finish == CUT_OFF)
        except ValueError as error:
            problem = _short(str(error))
            if reply.finish == CUT_OFF:
                problem = f"the reply was cut off at its greatest length, so write less; {problem}"
        else:
            if reply.finish == STAND_IN or not (found := check(value)):
                return value
            usable, problem = value, found
        messages = (
            *messages,
            *([{"role": "assistant", "content": content}] if content else []),
            {"role": "user", "content": f"This cannot be used: {problem}. Reply again, with the JSON asked for alone."},
        )
    if usable is not None:
        return usable
    if reply.finish == CUT_OFF:
        problem += "; raise max_completion_tokens in llm.parameters, or have the model think less"
    raise Failed(f"no usable reply in {llm.reasks + 1} tries: {problem}")


def _short(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= 200 else text[:199] + "…"
