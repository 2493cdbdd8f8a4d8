"""Chat Completions of an endpoint: a reply, and how the form of one is asked for."""

from __future__ import annotations

import json
import re
from typing import Any

from stages.settings.llm import Llm
from stages.shared.endpoint.client import Again, Client, Refused
from stages.synthesize.llm.request import Reply, Request

# From the strictest way to ask for a form to the laxest.
LEVELS = ("schema", "json", "none")


class Endpoint(Client):
    """Where requests to a language model go."""

    def __init__(self, llm: Llm) -> None:
        super().__init__(llm, "llm")
        self.llm = llm
        self._level = 0 if llm.structured == "auto" else LEVELS.index(llm.structured)

    @property
    def structured(self) -> str:
        """How a form is asked for at present."""
        return LEVELS[self._level]

    async def chat(self, request: Request) -> Reply:
        """Send one request; raises `Again`, `Refused` or `Stop`."""
        asked = self.structured
        body = request.body(asked)
        # The plain call: the typed one spends most of its time on checking the request anew.
        sending = self.client.post("/chat/completions", body=body, cast_to=self.response)
        try:
            answer = await self.call(sending)
        except Refused as error:
            raise self.otherwise(error, asked) from None
        try:
            return self.reply(json.loads(answer.content))
        except ValueError:
            raise Again("the endpoint's answer is not JSON", lost=True) from None

    def reply(self, body: Any) -> Reply:
        """The reply in a Chat Completions body; raises `Again` if there is none."""
        try:
            choice = body["choices"][0]
            message = choice["message"]
            usage = body.get("usage") or {}
            return Reply(
                _text(message.get("content")),
                choice.get("finish_reason") or "stop",
                _text(message.get("refusal")),
                usage.get("prompt_tokens"),
                usage.get("completion_tokens"),
            )
        except (LookupError, TypeError, AttributeError):
            raise Again("the endpoint's answer holds no reply", lost=True) from None

    def otherwise(self, error: Exception, asked: str) -> Exception:
        """`error` itself, or `Again` if it is about how the form was `asked` for, and another way may be tried."""
        if not isinstance(error, Refused) or self.llm.structured != "auto" or error.status not in (400, 422):
            return error
        if not re.search(r"response_format|schema|grammar", error.message):
            return error
        if asked == self.structured and self._level + 1 < len(LEVELS):
            self._level += 1
        return error if asked == self.structured else Again(f"{error.status}: {error.message}", wait=0.0)


def _text(content: Any) -> str | None:
    """A text that a file can hold; some endpoints give it in parts."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    return content if content is None else content.encode("utf-8", "replace").decode()
