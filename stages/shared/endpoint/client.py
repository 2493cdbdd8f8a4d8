"""An endpoint through the `openai` client, and what its errors mean: try again, not this one, or stop."""

from __future__ import annotations

import email.utils
import math
import os
import re
import time
from collections.abc import Awaitable
from typing import Any

from stages.settings.connection import Connection
from stages.shared.errors import UserError

OPENAI = "https://api.openai.com/v1"
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
    """This request will never be answered; others may be. `status` and `message` are the endpoint's, if it said so."""

    def __init__(self, reason: str, status: int | None = None, message: str = "") -> None:
        super().__init__(reason)
        self.status, self.message = status, message


class Stop(Exception):
    """Nothing more can be sent; one sentence with the mend."""


class Forbidden(Stop):
    """A key that may not do this; where others were answered, a gateway that will not have this one request."""


class Unknown(Stop):
    """The endpoint does not know what was asked for: the model, the path, or a batch."""


class Client:
    """Where requests go. The key is read from the environment and is in no message that this class raises.

    Args:
        settings: of the endpoint.
        group: their place in params.yaml, for messages.
    """

    def __init__(self, settings: Connection, group: str) -> None:
        self.settings, self.group = settings, group
        self.url = url(settings)
        self._key = key(settings, group)
        # Half a second to import, and a study that is in the cache needs none of it.
        import aiohttp
        import httpx2
        import openai

        self._openai, self._aiohttp, self.response = openai, aiohttp, httpx2.Response
        self.omitted = openai.omit
        # aiohttp's transport takes two thirds of the time that the client's own takes for a request.
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        self.client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.url,
            default_query=settings.query,
            timeout=settings.timeout,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(
                limits=limits,
                timeout=settings.timeout,
                follow_redirects=False,  # another host has no business with the key
                event_hooks={"request": [self._with_key]},
            ),
        )

    async def _with_key(self, request: Any) -> None:
        """Put the key into the header that is to take it: the client knows but one."""
        if self.settings.key_header and self._key:
            del request.headers["Authorization"]
            request.headers[self.settings.key_header] = self._key

    async def call(self, sending: Awaitable[Any]) -> Any:
        """What a call of the client returns; its exceptions become `Again`, `Refused` or `Stop`."""
        try:
            return await sending
        except self._openai.APIStatusError as error:
            raise self.meaning(error.status_code, error.body, error.response.headers) from None
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
            return Again(f"no reply within {self.settings.timeout:g} s", lost=True)
        return Again(f"connection failed ({self.redact(_named(causes[-1]))})", lost=not down, down=down)

    def meaning(self, status: int, body: Any, headers: Any = None) -> Exception:
        """What an error status means."""
        headers = headers or {}
        error = body.get("error", body) if isinstance(body, dict) else {}
        error = error if isinstance(error, dict) else {"message": error}
        message = self.redact(str(error.get("message") or body or "no message"))
        message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
        said = f"{status}: {message}"
        if error.get("code") in ("insufficient_quota", "billing_hard_limit_reached") or status == 402:
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
        return text.replace(self._key, "[key]") if self._key else text

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
