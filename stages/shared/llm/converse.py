"""One exchange with the model: ask in a form, read the reply tolerantly, ask again with the reason if it is no use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from stages.shared.llm.request import STAND_IN, Failed, Reply, Request
from stages.shared.params import Llm


class Form(BaseModel):
    """What a reply must hold: exactly these fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _text(text: str) -> str:
    return " ".join(text.split())


def _filled(text: str) -> str:
    if not (text := _text(text)):
        raise ValueError("an empty text")
    return text


# Constraints are checked by validators rather than declared: not every server's schemas know minLength.
Text = Annotated[str, AfterValidator(_text)]
Filled = Annotated[str, AfterValidator(_filled)]

F = TypeVar("F", bound=Form)


def ask(
    llm: Llm, prompt: str, form: type[F], stand_in: dict[str, Any], check: Callable[[F], str | None]
) -> Generator[Request, Reply, F]:
    """Steps that yield requests until a reply fills `form` and `check` finds nothing wrong with it.

    `check` returns what is wrong, or None. After `llm.reasks` further tries a reply that has the form is taken as it
    is, for the filters to judge; raises `Failed` if none had it, or if the model refuses.
    """
    messages: tuple[dict[str, str], ...] = ({"role": "user", "content": prompt},)
    usable: F | None = None
    problem = ""
    for _ in range(llm.reasks + 1):
        reply = yield Request(llm, messages, form, json.dumps(stand_in, ensure_ascii=False))
        if reply.refusal:
            raise Failed(f"refused: {_short(reply.refusal)}")
        if reply.finish == "content_filter":
            raise Failed("withheld by the endpoint's content filter")
        content = reply.content or ""
        try:
            value = read(content, form)
        except ValueError as error:
            problem = str(error)
            if reply.finish == "length":
                problem = f"the reply was cut off at its greatest length; {problem}"
        else:
            if reply.finish == STAND_IN or not (found := check(value)):
                return value
            usable, problem = value, found
        messages = (
            *messages,
            {"role": "assistant", "content": content},
            {"role": "user", "content": f"This cannot be used: {problem}. Reply again, with the JSON asked for alone."},
        )
    if usable is not None:
        return usable
    raise Failed(f"no usable reply in {llm.reasks + 1} tries: {problem}")


def read(content: str, form: type[F]) -> F:
    """The first JSON object in `content` that fills `form`, whatever stands around it (a code fence, prose, a
    reasoning block); raises `ValueError` with the reason if there is none."""
    text = content.rsplit("</think>", 1)[-1]
    reason = "no JSON object in the reply"
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            found, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            if reason.startswith("no JSON"):
                reason = f"no JSON object in the reply ({error.msg} at character {error.pos})"
            at += 1
            continue
        try:
            return form.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the object"
            reason = f"not the form asked for ({where}: {first['msg'].removeprefix('Value error, ')})"
    raise ValueError(reason)


def _short(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= 200 else text[:199] + "…"
