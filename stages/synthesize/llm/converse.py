"""One exchange with the model: ask in a form, read the reply tolerantly, ask again with the reason if it is no use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from stages.settings.llm import Llm
from stages.synthesize.llm.request import REFUSED, STAND_IN, Failed, Messages, Reply, Request


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
        if reply.finish == "content_filter":
            raise Failed("withheld by the endpoint's content filter")
        content = reply.content or ""
        try:
            value = read(content, form)
        except ValueError as error:
            problem = str(error)
            if reply.finish == "length":
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
    raise Failed(f"no usable reply in {llm.reasks + 1} tries: {problem}")


# Where an object may begin, and how many such places are tried: each may cost a look at all that follows.
BEGIN, PLACES = re.compile(r'\{\s*["}]'), 1000


def read(content: str, form: type[F]) -> F:
    """The first JSON object in `content` that fills `form`, whatever stands around it (a code fence, prose, a
    reasoning block, another object); raises `ValueError` with the reason if there is none."""
    text = content.rsplit("</think>", 1)[-1]
    reason = none = "no JSON object in the reply"
    decoder, end = json.JSONDecoder(), 0
    for begin in islice(BEGIN.finditer(text), PLACES):
        try:
            found, stop = decoder.raw_decode(text, begin.start())
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError) and reason == none:
                reason = f"{none} ({error.msg} at character {error.pos})"
            continue
        try:
            return form.model_validate(found)
        except ValidationError as error:
            if begin.start() >= end:  # else it is a part of an object whose fault is told
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "the object"
                reason = f"not the form asked for ({where}: {first['msg'].removeprefix('Value error, ')})"
                end = stop
    raise ValueError(_short(reason))


def _short(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= 200 else text[:199] + "…"
