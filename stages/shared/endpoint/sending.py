"""Requests sent within the account's limits, through the endpoint's faults, until it is down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from stages.settings.connection import Connection
from stages.shared.endpoint.client import url
from stages.shared.endpoint.faults import Again, Forbidden, Refused, Stop

log = logging.getLogger(__name__)
LONGEST_PAUSE = 60.0
# Seconds that what is in flight has left after an interrupt.
GRACE = 5.0
# An endpoint that never worked in this run is given up sooner, and one that only limits our rate much later.
PATIENCE_AT_FIRST, PATIENCE_IF_BUSY = 10.0, 10.0
# What a 429 counts of an attempt: the account's limit is no fault of the request, unless it alone meets it for ever.
BUSY = 0.1
# Requests that fail at the same time, or attempts to connect: with fewer, they themselves may be at fault.
FEW = 5

Sent = TypeVar("Sent")


class Pace:
    """So many units a minute, evenly spread."""

    def __init__(self, per_minute: int | None) -> None:
        self.seconds = 60 / per_minute if per_minute else 0.0
        self.next = 0.0

    def wait(self, units: float) -> float:
        """Take `units`; return the seconds to wait before using them."""
        now = time.monotonic()
        begin = max(now, self.next)
        self.next = begin + units * self.seconds
        return begin - now

    def correct(self, units: float) -> None:
        """Take so many more than was said, or fewer."""
        self.next += units * self.seconds


class Sender:
    """Sends requests; `stopped` says why nothing more is sent.

    Args:
        settings: of the endpoint.
        group: their place in params.yaml, for messages.
    """

    def __init__(self, settings: Connection, group: str) -> None:
        self.settings, self.group, self.url = settings, group, url(settings)
        self.stopped: str | None = None
        # Whether the endpoint has answered at all.
        self.answered = False
        self._halt = asyncio.Event()
        # Of the requests in flight.
        self._deadlines: set[asyncio.Timeout] = set()
        self._given_up = 0
        self._requests, self._tokens = Pace(settings.requests_per_minute), Pace(settings.tokens_per_minute)
        self._not_before = 0.0
        self._last_answer = 0.0
        self._failing_since = 0.0
        self._failures = 0
        self._failing: set[str] = set()
        self._jitter = random.Random()

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """In the block, an interrupt lets what is in flight, which is paid for, come in for a moment; a second one ends
        at once."""
        loop = asyncio.get_running_loop()
        handled = {}
        for sign in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(sign)
            try:
                loop.add_signal_handler(sign, self._interrupt)
                handled[sign] = before
            except (NotImplementedError, RuntimeError, ValueError):
                pass  # no main thread, or Windows: the default handling stays
        try:
            yield
        finally:
            for sign, before in handled.items():
                loop.remove_signal_handler(sign)
                signal.signal(sign, before)  # which the loop does not know
            if self._given_up:
                log.warning(
                    f"{self._given_up:,} requests were still being answered {GRACE:g} s after the interrupt: they may "
                    "be billed, and are asked for again"
                )

    def _interrupt(self) -> None:
        self.stop("interrupted; replies so far are kept: run the same command again to go on")
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(sign)
        for deadline in self._deadlines:
            deadline.reschedule(loop.time() + GRACE)

    def stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self._halt.set()

    async def send(self, name: str, attempt: Callable[[], Awaitable[Sent]], tokens: float) -> Sent:
        """What `attempt` returns, once it does; raises `Refused` or `Stop`.

        Args:
            name: of the request, the same whenever it is sent.
            attempt: sends it once; raises `Again`, `Refused` or `Stop`.
            tokens: of the request and its reply, about.
        """
        failed, attempts = 0, 0.0
        while True:
            await self._turn(tokens)
            began = time.monotonic()
            try:
                reply = await self._interruptibly(attempt)
            except Again as error:
                if error.wait != 0.0:  # else asked for in a way that the endpoint does not know: at once in another
                    failed += 1
                    attempts += BUSY if error.busy else 1.0
                    await self._pause(name, error, failed, attempts > self.settings.retries, began)
            except Forbidden as error:
                if self.answered:
                    raise Refused(str(error)) from None
                raise
            else:
                self.answered, self._last_answer, self._failures = True, time.monotonic(), 0
                self._failing.clear()
                return reply

    async def _interruptibly(self, attempt: Callable[[], Awaitable[Sent]]) -> Sent:
        """What `attempt` returns; raises `Stop` if that takes too long after an interrupt."""
        deadline = asyncio.timeout(None)
        try:
            async with deadline:
                self._deadlines.add(deadline)
                return await attempt()
        except TimeoutError:
            self._given_up += 1
            raise Stop(self.stopped or "stopped") from None
        finally:
            self._deadlines.discard(deadline)

    def correct(self, tokens: float) -> None:
        """Count so many tokens more than was said, or fewer."""
        self._tokens.correct(tokens)

    async def _turn(self, tokens: float) -> None:
        """Wait until limits and the endpoint's own wishes let a request go."""
        await self.sleep(max(self._requests.wait(1), self._tokens.wait(tokens)))
        while (wait := self._not_before - time.monotonic()) > 0:
            await self.sleep(wait)

    async def _pause(self, name: str, error: Again, failed: int, last: bool, began: float) -> None:
        """After the request's so many-th failure: wait, or raise `Refused` if it was the last try, or `Stop` if the
        endpoint is down."""
        now = time.monotonic()
        if self._failures == 0:
            self._failing_since = max(began, self._last_answer)
        self._failures += 1
        self._failing.add(name)
        patience = self.settings.patience if self.answered else min(self.settings.patience, PATIENCE_AT_FIRST)
        if error.busy:
            patience = self.settings.patience * PATIENCE_IF_BUSY
        many = len(self._failing) >= FEW or (error.down and (self._failures >= FEW or last))
        if many and now - self._failing_since >= patience:
            raise Stop(
                f"{self.url} has not answered for {now - self._failing_since:.0f} s ({error}): check "
                f"{self.group}.base_url and the server, or raise {self.group}.timeout or lower its concurrency if it "
                "is slow; replies so far are kept: run again to go on"
            )
        if (error.wait or 0) > self.settings.patience * PATIENCE_IF_BUSY:
            raise Stop(
                f"{self.url} wants to be left alone for {error.wait:.0f} s ({error}); replies so far are "
                "kept: run again then"
            )
        if last:
            raise Refused(f"no reply in {failed} attempts, the last: {error}")
        if error.wait is not None:
            # Everyone waits: the limit is the account's, not the request's.
            self._not_before = max(self._not_before, now + error.wait)
            await self.sleep(error.wait + self._jitter.uniform(0, 0.1))
        else:
            await self.sleep(min(LONGEST_PAUSE, 0.5 * 2 ** min(failed - 1, 20)) * self._jitter.uniform(0.5, 1))

    async def sleep(self, seconds: float) -> None:
        """Sleep; raises `Stop` as soon as everything stops."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halt.wait(), seconds)
        if self._halt.is_set():
            raise Stop(self.stopped or "stopped")
