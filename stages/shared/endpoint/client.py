"""An endpoint through the `openai` client: what it answers within a time and a size, and what its errors mean."""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import os
import re
import time
from collections.abc import Awaitable
from typing import Any

from stages.settings.connection import Connection
from stages.shared.endpoint import faults
from stages.shared.endpoint.faults import Again, Forbidden, Refused, Stop, Unknown
from stages.shared.errors import UserError

OPENAI = "https://api.openai.com/v1"
# Characters of an endpoint's own words; gateways send whole pages.
LONGEST = 300
# Bytes of an answer, unpacked: far more than any model writes.
LARGEST = 16 << 20
# What stands where a key was, in messages and in texts that are kept, and the shortest key that those are searched for:
# servers that ask for none are given words such as "none" or "EMPTY", which texts have as well.
MASK, MASKED = "[key]", "[masked key]"
SHORTEST_KEY = 8


class Client:
    """Where requests go. The key is read from the environment and is in no message that this class raises.

    Args:
        settings: of the endpoint.
        group: their place in params.yaml, for messages.
        largest: bytes that an answer may have, unpacked.
    """

    def __init__(self, settings: Connection, group: str, largest: int = LARGEST) -> None:
        self.settings, self.group, self.largest = settings, group, largest
        self.url = url(settings)
        self._key = key(settings, group)
        self._spelt = _spellings(self._key) if self._key else None
        # Half a second to import, and a study that is in the cache needs none of it.
        import aiohttp
        import httpx2
        import openai

        self._openai, self._aiohttp, self._httpx, self.response = openai, aiohttp, httpx2, httpx2.Response
        self.omitted = openai.omit
        # aiohttp's transport takes two thirds of the time that the client's own takes for a request.
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        # Sooner than a reply, so that what never connected is told from what never answered.
        timeout = httpx2.Timeout(settings.timeout, connect=settings.timeout / 2)
        self.client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.url,
            default_query=settings.query,
            timeout=timeout,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(
                limits=limits,
                timeout=timeout,
                follow_redirects=False,  # another host has no business with the key
                event_hooks={"request": [self._with_key], "response": [self._bounded]},
            ),
        )

    async def _with_key(self, request: Any) -> None:
        """Put the key into the header that is to take it: the client knows but one."""
        if self.settings.key_header and self._key:
            del request.headers["Authorization"]
            request.headers[self.settings.key_header] = self._key

    async def _bounded(self, response: Any) -> None:
        """Read an answer, unpacked, up to the size that it may have; raises `Again` beyond."""
        packed = self._httpx.Response(response.status_code, headers=response.headers, stream=response.stream)
        content = bytearray()
        try:
            async for part in packed.aiter_bytes():
                content += part
                if len(content) > self.largest:
                    raise Again(f"the endpoint's answer is longer than {self.largest / 2**20:,.0f} MiB", lost=True)
        finally:
            await packed.aclose()
        response.headers.pop("Content-Encoding", None)
        response.stream = self._httpx.ByteStream(bytes(content))

    async def call(self, sending: Awaitable[Any], seconds: float | None = None) -> Any:
        """What a call of the client returns within `seconds`, by default the endpoint's `timeout`; its exceptions, and
        an error within a body that the client has read, become `Again`, `Refused` or `Stop`."""
        seconds = seconds or self.settings.timeout
        try:
            async with asyncio.timeout(seconds):
                answer = await sending
        except TimeoutError:
            raise Again(f"no reply within {seconds:g} s", lost=True) from None
        except self._openai.APIStatusError as error:
            raise self.meaning(error.status_code, error.body, error.response.headers) from None
        except (self._openai.APIConnectionError, self._aiohttp.ClientError) as error:
            raise self._broken(error) from None
        except (self._openai.APIResponseValidationError, ValueError, RecursionError):
            raise Again("the endpoint's answer is not in the form of the API", lost=True) from None
        if isinstance(answer, str):  # no JSON, by its own account
            raise Again("the endpoint's answer is not in the form of the API", lost=True)
        if (stated := self.error(getattr(answer, "model_extra", None))) is not None:
            raise stated
        return answer

    def _broken(self, error: BaseException) -> Again:
        """What a failed connection means. The client calls most failures time-outs: their causes say what happened."""
        causes = [error]
        while cause := causes[-1].__cause__:
            causes.append(cause)
        # Only a connection that never stood cannot have carried the request.
        never = (self._aiohttp.ClientConnectorError, self._aiohttp.ConnectionTimeoutError)
        down = any(isinstance(cause, never) for cause in causes)
        if not down and any(isinstance(cause, TimeoutError) for cause in causes):
            return Again(f"no reply within {self.settings.timeout:g} s", lost=True)
        return Again(f"connection failed ({self.redact(_named(causes[-1]))})", lost=not down, down=down)

    def parsed(self, content: bytes) -> Any:
        """An answer's JSON; raises `Again` if it is none."""
        try:
            return json.loads(content)
        except ValueError:
            raise Again("the endpoint's answer is not JSON", lost=True) from None
        except RecursionError:
            raise Again("the endpoint's answer is nested too deeply", lost=True) from None

    def error(self, node: Any, holds: str | None = None) -> Exception | None:
        """What an error means that stands in an answer of status 200, if one does. `holds`: what the answer would have
        if it were one."""
        error = faults.stated(node)
        if error is None and holds is not None and isinstance(node, dict) and not node.get(holds):
            error = faults.worded(node)
        return None if error is None else self.meaning(faults.status_of(error), {"error": error})

    def meaning(self, status: int, body: Any, headers: Any = None) -> Exception:
        """What an error status means."""
        headers = headers or {}
        error = faults.stated(body) or body or {}
        message = self.redact(faults.message_of(error)) or "no message"
        message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
        said = f"{status}: {message}"
        status = faults.fatal(error) or status
        if status == 402:
            return Stop(f"{self.url} says that the account has no credit left ({said}): top it up")
        if status in (401, 403):
            name = f"requests without a key ({self.group}.key_env is null)"
            if self.settings.key_env:
                name = f"the key in {self.settings.key_env}"
            kind = Forbidden if status == 403 else Stop
            return kind(f"{self.url} refuses {name} ({said}): check the key and {self.group}.base_url")
        if status == 404:
            return Unknown(
                f"{self.url} does not know the model {self.settings.model!r} or the path ({said}): check both"
            )
        if status == 429:
            return Again(said, wait=_wait(headers), busy=True)
        if status in (408, 409, 425) or status >= 500:
            return Again(said, wait=_wait(headers))
        return Refused(f"refused by the endpoint ({said})", status, message)

    def redact(self, text: str) -> str:
        """`text` on one line, without the key: gateways have been seen to repeat it."""
        text = " ".join(text.split())
        return self._spelt.sub(MASK, text) if self._spelt else text

    def masked(self, text: str) -> str:
        """A text to be kept, without the key, however it is spelt."""
        return self._spelt.sub(MASKED, text) if self._spelt and len(self._key or "") >= SHORTEST_KEY else text

    async def close(self) -> None:
        await self.client.close()


def url(settings: Connection) -> str:
    return (settings.base_url or OPENAI).rstrip("/")


def key(settings: Connection, group: str) -> str | None:
    """The key from the environment; raises `UserError` if it is not there, or is none."""
    if settings.key_env is None:
        return None
    if not (found := os.environ.get(settings.key_env, "").strip()):
        raise UserError(
            f"the environment has no {settings.key_env}, which {group}.key_env names: export it, "
            f"or set {group}.key_env to null for an endpoint that asks for no key"
        )
    if not re.fullmatch(r"[!-~]+", found):
        raise UserError(
            f"what {settings.key_env} holds is no key: it has spaces, line ends or quotation marks that are no ASCII"
        )
    return found


def _spellings(key: str) -> re.Pattern[str]:
    """The key as it is, and as JSON (within JSON) and URLs may spell it."""
    return re.compile("".join(rf"(?:\\*{re.escape(c)}|(?i:\\+u00{ord(c):02x}|%{ord(c):02x}))" for c in key))


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


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
