"""The endpoint through the `openai` client, and what its answers mean: a reply, try again, not this one, or stop."""

from __future__ import annotations

import email.utils
import json
import math
import os
import re
import time
from collections.abc import Awaitable
from typing import Any

from stages.settings.llm import Llm
from stages.shared.errors import UserError
from stages.synthesize.llm.request import Reply, Request

OPENAI = "https://api.openai.com/v1"
# From the strictest way to ask for a form to the laxest.
LEVELS = ("schema", "json", "none")
# Characters of an endpoint's own words; gateways send whole pages.
LONGEST = 300


class Again(Exception):
    """Worth another try: after `wait` seconds if the endpoint says so. `busy`: it is there, but limits our rate.
    `lost`: it may have worked on the request all the same. `down`: it is not even there."""

    def __init__(
        self, reason: str, wait: float | None = None, busy: bool = False, lost: bool = False, down: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait, self.busy, self.lost, self.down = wait, busy, lost, down


class Refused(Exception):
    """This request will never be answered; others may be."""


class Stop(Exception):
    """Nothing more can be sent; one sentence with the mend."""


class Forbidden(Stop):
    """A key that may not do this; where others were answered, a gateway that will not have this one request."""


class Unknown(Stop):
    """The endpoint does not know what was asked for: the model, the path, or a batch."""


class Endpoint:
    """Where requests go. The key is read from the environment and is in no message that this class raises."""

    def __init__(self, llm: Llm) -> None:
        self.llm = llm
        self.url = url(llm)
        self._key = key(llm)
        self._level = 0 if llm.structured == "auto" else LEVELS.index(llm.structured)
        # Half a second to import, and a study that is in the cache needs none of it.
        import aiohttp
        import httpx2
        import openai

        self._openai, self._aiohttp, self._response = openai, aiohttp, httpx2.Response
        self.omitted = openai.omit
        # aiohttp's transport takes two thirds of the time that the client's own takes for a request.
        limits = httpx2.Limits(max_connections=llm.concurrency, max_keepalive_connections=llm.concurrency)
        self.client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.url,
            default_query=llm.query,
            timeout=llm.timeout,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(
                limits=limits,
                timeout=llm.timeout,
                follow_redirects=False,  # another host has no business with the key
                event_hooks={"request": [self._with_key]},
            ),
        )

    async def _with_key(self, request: Any) -> None:
        """Put the key into the header that is to take it: the client knows but one."""
        if self.llm.key_header and self._key:
            del request.headers["Authorization"]
            request.headers[self.llm.key_header] = self._key

    @property
    def structured(self) -> str:
        """How a form is asked for at present."""
        return LEVELS[self._level]

    async def chat(self, request: Request) -> Reply:
        """Send one request; raises `Again`, `Refused` or `Stop`."""
        asked = self.structured
        body = request.body(asked)
        # The plain call: the typed one spends most of its time on checking the request anew.
        sending = self.client.post("/chat/completions", body=body, cast_to=self._response)
        answer = await self.call(sending, asked)
        try:
            return self.reply(json.loads(answer.content))
        except ValueError:
            raise Again("the endpoint's answer is not JSON", lost=True) from None

    async def call(self, sending: Awaitable[Any], asked: str | None = None) -> Any:
        """What a call of the client returns; its exceptions become `Again`, `Refused` or `Stop`."""
        try:
            return await sending
        except self._openai.APIStatusError as error:
            raise self.meaning(error.status_code, error.body, error.response.headers, asked) from None
        except self._openai.APIResponseValidationError:
            raise Again("the endpoint's answer is not in the form of the API", lost=True) from None
        except (self._openai.APIConnectionError, self._aiohttp.ClientError) as error:
            raise self._broken(error) from None

    def _broken(self, error: BaseException) -> Again:
        """What a failed connection means. The client calls most failures time-outs: their causes say what happened."""
        causes = [error]
        while cause := causes[-1].__cause__:
            causes.append(cause)
        # Only a connection that never stood cannot have carried the request.
        never = (self._aiohttp.ClientConnectorError, self._aiohttp.ConnectionTimeoutError)
        down = any(isinstance(cause, never) for cause in causes)
        if not down and any(isinstance(cause, TimeoutError) for cause in causes):
            return Again(f"no reply within {self.llm.timeout:g} s", lost=True)
        return Again(f"connection failed ({self.redact(_named(causes[-1]))})", lost=not down, down=down)

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

    def meaning(self, status: int, body: Any, headers: Any = None, asked: str | None = None) -> Exception:
        """What an error status means. `asked`: how the form was asked for, if another way may be tried."""
        headers = headers or {}
        error = body.get("error", body) if isinstance(body, dict) else {}
        error = error if isinstance(error, dict) else {"message": error}
        message = self.redact(str(error.get("message") or body or "no message"))
        message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
        said = f"{status}: {message}"
        if error.get("code") in ("insufficient_quota", "billing_hard_limit_reached") or status == 402:
            return Stop(f"{self.url} says that the account has no credit left ({said}): top it up")
        if status in (401, 403):
            name = (
                f"the key in {self.llm.key_env}" if self.llm.key_env else "requests without a key (llm.key_env is null)"
            )
            kind = Forbidden if status == 403 else Stop
            return kind(f"{self.url} refuses {name} ({said}): check the key and llm.base_url")
        if status == 404:
            return Unknown(f"{self.url} does not know the model {self.llm.model!r} or the path ({said}): check both")
        if status == 429:
            return Again(said, wait=_wait(headers), busy=True)
        if status in (408, 409, 425) or status >= 500:
            return Again(said, wait=_wait(headers))
        unknown_form = status in (400, 422) and re.search(r"response_format|schema|grammar", message)
        if unknown_form and asked and self.llm.structured == "auto":
            if asked == self.structured and self._level + 1 < len(LEVELS):
                self._level += 1
            if asked != self.structured:
                return Again(said, wait=0.0)
        return Refused(f"refused by the endpoint ({said})")

    def redact(self, text: str) -> str:
        """`text` on one line, without the key: gateways have been seen to repeat it."""
        text = " ".join(text.split())
        return text.replace(self._key, "[key]") if self._key else text

    async def close(self) -> None:
        await self.client.close()


def url(llm: Llm) -> str:
    return (llm.base_url or OPENAI).rstrip("/")


def key(llm: Llm) -> str | None:
    """The key from the environment; raises `UserError` if it is not there, or is none."""
    if llm.key_env is None:
        return None
    if not (found := os.environ.get(llm.key_env, "").strip()):
        raise UserError(
            f"the environment has no {llm.key_env}, which llm.key_env names: export it, "
            "or set llm.key_env to null for an endpoint that asks for no key"
        )
    if not re.fullmatch(r"[!-~]+", found):
        raise UserError(
            f"what {llm.key_env} holds is no key: it has spaces, line ends or quotation marks that are no ASCII"
        )
    return found


def _wait(headers: Any) -> float | None:
    """Seconds that the endpoint asks to wait, from retry-after-ms or Retry-After (seconds or a date), if any."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        if (value := headers.get(name)) is None:
            continue
        try:
            seconds = float(value) * unit
            return seconds if 0 < seconds < math.inf else None
        except ValueError:
            pass
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time()) or None
        except (TypeError, ValueError):
            pass
    return None


def _text(content: Any) -> str | None:
    """A text that a file can hold; some endpoints give it in parts."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    return content if content is None else content.encode("utf-8", "replace").decode()


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
