"""Chat Completions of an endpoint: a reply, and how the form of one is asked for."""

from __future__ import annotations

import re
from typing import Any

from stages.settings.llm import Llm
from stages.shared.endpoint.client import LARGEST, Client
from stages.shared.endpoint.faults import Again, Refused
from stages.shared.endpoint.usage import counted
from stages.shared.llm.request import BROKEN_OFF, CUT_OFF, WITHHELD, Reply, Request

# From the strictest way to ask for a form to the laxest.
LEVELS = ("schema", "json", "none")
# What servers call the ends of a reply, in lower case: cut off, withheld, and those that are no end.
FINISHES = {
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), CUT_OFF),
    **dict.fromkeys(("content_filter", "safety", "recitation", "sensitive", "prohibited_content"), WITHHELD),
    **dict.fromkeys(("error", "abort", "aborted", "cancelled"), BROKEN_OFF),
    **dict.fromkeys(("insufficient_system_resource", "network_error"), BROKEN_OFF),
}
# Where servers put what a model thinks, beside the content.
REASONING = ("reasoning_content", "reasoning", "thinking")
# What a text ends with whose last part is an object, whatever fences it.
OBJECT_END = re.compile(r"\}[\s`\]]*\Z")


class Endpoint(Client):
    """Where requests to a language model go."""

    def __init__(self, llm: Llm, largest: int = LARGEST) -> None:
        super().__init__(llm, "llm", largest)
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
            return self.reply(self.parsed((await self.call(sending)).content))
        except Refused as error:
            raise self.otherwise(error, asked) from None

    def reply(self, body: Any) -> Reply:
        """The reply in a Chat Completions body, without the key; raises `Again`, `Refused` or `Stop` if there is none,
        or an error in its place. What it counts of tokens costs no reply, whatever that is."""
        if (error := self.error(body, holds="choices")) is not None:
            raise error
        try:
            choice = body["choices"][0]
            error = self.error(choice)
            message = choice["message"] if error is None else {}
            content = _text(message.get("content"))
        except (LookupError, TypeError, AttributeError):
            raise Again("the endpoint's answer holds no reply", lost=True) from None
        if (error := error or self.error(message)) is not None:
            if isinstance(error, Again):
                error.lost = True  # what was written before it may be billed
            raise error
        finish, refusal = _end(choice), message.get("refusal")
        if finish == BROKEN_OFF:
            raise Again("the endpoint broke the reply off, and says no reason", lost=True)
        answered = content or refusal or finish in (CUT_OFF, WITHHELD)
        if not answered and (field := _misplaced(message)):
            raise Refused(
                f"the reply's content is empty, and the JSON is in its {field!r}: the server takes all that the model "
                "writes for reasoning; start it without its reasoning parser or with the one of this model, or have "
                "the model not think, e.g. with llm.parameters: {chat_template_kwargs: {enable_thinking: false}}",
                lost=True,
            )
        return Reply(
            content if content is None else self.masked(content),
            self.masked(finish),
            self.masked(refusal.encode("utf-8", "replace").decode()) if isinstance(refusal, str) else None,
            counted(body, "prompt_tokens"),
            counted(body, "completion_tokens"),
        )

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
    """A text that a file can hold; some endpoints give it in parts, of which some are what the model thinks."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text" and part.get("text"))
    return content if content is None else content.encode("utf-8", "replace").decode()


def _end(choice: dict[str, Any]) -> str:
    """How the reply ended, in one word."""
    given = choice.get("finish_reason")
    given = given.get("type") if isinstance(given, dict) else given
    given = str(given or "stop")
    return FINISHES.get(given.lower(), given)


def _misplaced(message: dict[str, Any]) -> str | None:
    """The field beside the content that ends in an object, if one does."""
    return next((name for name in REASONING if OBJECT_END.search(str(message.get(name) or ""))), None)
