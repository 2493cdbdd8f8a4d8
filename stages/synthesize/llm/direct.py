"""Requests sent as they come, so many at once: within the endpoint's limits, through its faults, until it is down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from stages.settings.llm import Llm
from stages.synthesize.llm.cache import Cache
from stages.synthesize.llm.endpoint import Again, Endpoint, Forbidden, Refused, Stop, url
from stages.synthesize.llm.meter import Meter, expected_tokens
from stages.synthesize.llm.request import Failed, Reply, Request, Steps

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
# An endpoint that never worked in this run is given up sooner, and one that only limits our rate much later.
PATIENCE_AT_FIRST, PATIENCE_IF_BUSY = 10.0, 10.0
# What a 429 counts of an attempt: the account's limit is no fault of the request, unless it alone meets it for ever.
BUSY = 0.1
# Requests that fail at the same time, or attempts to connect: with fewer, they themselves may be at fault.
FEW = 5
# Requests refused in a row, with no reply yet, after which the rest is not worth sending.
HOPELESS = 20
# Tasks that wait for another process, at most; then they are seen to before new ones.
MOST_ASIDE = 1000


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


class Elsewhere(Exception):
    """Another process is asking this very thing."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


class Direct:
    """`run` leaves every reply in the cache; `refused` then says why a request has none, `stopped` why it ended."""

    def __init__(self, llm: Llm, cache: Cache, meter: Meter, progress: Callable[[], None]) -> None:
        self.llm, self.cache, self.meter, self.progress = llm, cache, meter, progress
        self.refused: dict[str, str] = {}
        self.stopped: str | None = None
        self.failed = 0
        self._halt = asyncio.Event()
        self._aside: dict[Steps, Request] = {}
        self._in_flight: dict[str, asyncio.Future[None]] = {}
        self._requests, self._tokens = Pace(llm.requests_per_minute), Pace(llm.tokens_per_minute)
        self._batched = cache.batched(url(llm))
        self._not_before = 0.0
        self._answered = False
        self._last_answer = 0.0
        self._failing_since = 0.0
        self._failures = 0
        self._failing: set[str] = set()
        self._hopeless = 0
        self._told = False
        self._jitter = random.Random()

    async def run(self, tasks: Iterable[Steps]) -> None:
        """Follow every task to its end, `llm.concurrency` of them at once."""
        loop = asyncio.get_running_loop()
        handled = []
        for sign in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(sign, self._interrupt)
                handled.append(sign)
            except (NotImplementedError, RuntimeError, ValueError):
                pass  # no main thread, or Windows: the default handling stays
        queue = iter(tasks)
        try:
            await asyncio.gather(*(self._work(queue) for _ in range(self.llm.concurrency)))
        finally:
            for sign in handled:
                loop.remove_signal_handler(sign)
            # Made by the first request that is not in the cache, if there is one.
            if "endpoint" in self.__dict__:
                await self.endpoint.close()

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.llm)

    def _interrupt(self) -> None:
        # What is in flight is paid for: it is waited for. A second signal ends at once.
        self._stop("interrupted; replies so far are kept: run the same command again to go on")
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(sign)

    def _stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self._halt.set()

    async def _work(self, queue: Iterator[Steps]) -> None:
        while (steps := self._next(queue)) is not None:
            waits = steps in self._aside
            request = self._aside.pop(steps, None)
            try:
                request = request or next(steps)
                while True:
                    request = steps.send(await self._reply(request, waits))
            except StopIteration:
                pass
            except Elsewhere as error:
                self._aside[steps] = error.request
                continue
            except (Failed, Refused):
                self.failed += 1
            except Stop as error:
                self._stop(str(error))
            self.progress()
            if self.stopped:
                return

    def _next(self, queue: Iterator[Steps]) -> Steps | None:
        """A task to go on with: a new one, or one put aside if there are many of those or no new ones."""
        steps = next(queue, None) if len(self._aside) < MOST_ASIDE else None
        return steps or next(iter(self._aside), None)

    async def _reply(self, request: Request, waits: bool) -> Reply:
        while True:
            if (reply := self.cache.get(request.key)) is not None:
                self.meter.count(request, reply, cached=True)
                return reply
            if (why := self.refused.get(request.key)) is not None:
                raise Refused(why)
            if (other := self._in_flight.get(request.key)) is not None:
                await other
            elif request.key in self._batched:
                raise Stop(
                    f"requests of this study are in a batch at {self.endpoint.url} that is not collected: set llm.mode "
                    "to batch and run again, or they would be paid for twice (python -m stages.synthesize "
                    "--forget-batches gives such batches up)"
                )
            elif self.cache.claim(request.key):
                break
            elif waits:
                if not self._told:
                    log.info("the rest is being asked by another process: waiting for it")
                self._told = True
                await self._sleep(0.2)
            else:
                raise Elsewhere(request)
        done = self._in_flight[request.key] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._send(request)
            self.cache.put(request, reply)
            self.meter.count(request, reply, cached=False)
            return reply
        except BaseException as error:
            self.cache.release(request.key)
            if isinstance(error, Refused):
                self.refused[request.key] = str(error)
            raise
        finally:
            del self._in_flight[request.key]
            if not done.done():  # cancelled with those who wait for it
                done.set_result(None)

    async def _send(self, request: Request) -> Reply:
        failed, attempts = 0, 0.0
        while True:
            await self._turn(request)
            began = time.monotonic()
            try:
                reply = await self._attempt(request)
            except Again as error:
                if error.wait != 0.0:  # else asked for in a way that the endpoint does not know: at once in another
                    failed += 1
                    attempts += BUSY if error.busy else 1.0
                    await self._pause(request, error, failed, attempts > self.llm.retries, began)
            except Refused as error:
                self._hopeless += 1
                if not (self._answered or self.meter.cached) and self._hopeless >= HOPELESS:
                    raise Stop(
                        f"{self.endpoint.url} refused the first {HOPELESS} requests, the last: {error}; "
                        "mend llm.parameters or llm.model"
                    ) from None
                raise
            except Forbidden as error:
                if self._answered:
                    raise Refused(str(error)) from None
                raise
            else:
                self._answered, self._last_answer, self._failures = True, time.monotonic(), 0
                self._failing.clear()
                if reply.prompt_tokens is not None and reply.completion_tokens is not None:
                    self._tokens.correct(reply.prompt_tokens + reply.completion_tokens - expected_tokens(request))
                return reply

    async def _attempt(self, request: Request) -> Reply:
        """Send once, within the budget."""
        bound, lost = self.meter.bound(request), 0.0
        if not await self.meter.reserve(bound):
            raise Stop(self.meter.exhausted())
        try:
            await self._sleep(0)  # everything may have stopped meanwhile
            return await self.endpoint.chat(request)
        except Again as error:
            if error.lost:
                lost = bound
                self.meter.count_lost(request, self.cache)
                self.cache.lose(request.key)
            raise
        finally:
            self.meter.settle(bound, lost)

    async def _turn(self, request: Request) -> None:
        """Wait until limits and the endpoint's own wishes let the request go."""
        await self._sleep(max(self._requests.wait(1), self._tokens.wait(expected_tokens(request))))
        while (wait := self._not_before - time.monotonic()) > 0:
            await self._sleep(wait)

    async def _pause(self, request: Request, error: Again, failed: int, last: bool, began: float) -> None:
        """After the request's so many-th failure: wait, or raise `Refused` if it was the last try, or `Stop` if the
        endpoint is down."""
        now = time.monotonic()
        if self._failures == 0:
            self._failing_since = max(began, self._last_answer)
        self._failures += 1
        self._failing.add(request.key)
        patience = self.llm.patience if self._answered else min(self.llm.patience, PATIENCE_AT_FIRST)
        if error.busy:
            patience = self.llm.patience * PATIENCE_IF_BUSY
        many = len(self._failing) >= FEW or (error.down and (self._failures >= FEW or last))
        if many and now - self._failing_since >= patience:
            raise Stop(
                f"{self.endpoint.url} has not answered for {now - self._failing_since:.0f} s ({error}): check "
                "llm.base_url and the server, or raise llm.timeout or lower llm.concurrency if it is slow; "
                "replies so far are kept: run again to go on"
            )
        if (error.wait or 0) > self.llm.patience * PATIENCE_IF_BUSY:
            raise Stop(
                f"{self.endpoint.url} wants to be left alone for {error.wait:.0f} s ({error}); replies so far are "
                "kept: run again then"
            )
        if last:
            raise Refused(f"no reply in {failed} attempts, the last: {error}")
        if error.wait is not None:
            # Everyone waits: the limit is the account's, not the request's.
            self._not_before = max(self._not_before, now + error.wait)
            await self._sleep(error.wait + self._jitter.uniform(0, 0.1))
        else:
            await self._sleep(min(LONGEST_PAUSE, 0.5 * 2 ** min(failed - 1, 20)) * self._jitter.uniform(0.5, 1))

    async def _sleep(self, seconds: float) -> None:
        """Sleep; raises `Stop` as soon as everything stops."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halt.wait(), seconds)
        if self._halt.is_set():
            raise Stop(self.stopped or "stopped")
