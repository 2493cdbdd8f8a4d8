"""Requests sent as they come, so many at once: within the endpoint's limits, through its faults, until it is down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial

from stages.settings.llm import Llm
from stages.shared.endpoint.client import url
from stages.shared.endpoint.faults import Again, Refused, Stop
from stages.shared.endpoint.sending import Sender
from stages.shared.llm.cache import Cache
from stages.shared.llm.endpoint import Endpoint
from stages.shared.llm.meter import Meter, expected_tokens
from stages.shared.llm.request import Failed, Reply, Request, Steps

log = logging.getLogger(__name__)

# Requests refused in a row, with no reply yet, after which the rest is not worth sending.
HOPELESS = 20
# Tasks that wait for another process, at most; then they are seen to before new ones.
MOST_ASIDE = 1000


class Elsewhere(Exception):
    """Another process is asking this very thing."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


class Direct:
    """`run` leaves every reply in the cache; `refused` then says why a request has none, `stopped` why it ended."""

    def __init__(self, llm: Llm, cache: Cache, meter: Meter, progress: Callable[[], None]) -> None:
        self.llm, self.cache, self.meter, self.progress = llm, cache, meter, progress
        self.sender = Sender(llm, "llm")
        self.refused: dict[str, str] = {}
        self.failed = 0
        self._aside: dict[Steps, Request] = {}
        self._in_flight: dict[str, asyncio.Future[None]] = {}
        self._batched = cache.batched(url(llm))
        self._hopeless = 0
        self._told = False

    async def run(self, tasks: Iterable[Steps]) -> None:
        """Follow every task to its end, `llm.concurrency` of them at once."""
        queue = iter(tasks)
        try:
            with self.sender.interruptible():
                await asyncio.gather(*(self._work(queue) for _ in range(self.llm.concurrency)))
        finally:
            # Made by the first request that is not in the cache, if there is one.
            if "endpoint" in self.__dict__:
                await self.endpoint.close()

    @property
    def stopped(self) -> str | None:
        return self.sender.stopped

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.llm)

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
                self.sender.stop(str(error))
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
                await self.sender.sleep(0.2)
            else:
                raise Elsewhere(request)
        done = self._in_flight[request.key] = asyncio.get_running_loop().create_future()
        try:
            expected = expected_tokens(request)
            reply = await self.sender.send(request.key, partial(self._attempt, request), expected)
            self.cache.put(request, reply)  # first of all: it is paid for
            self.meter.count(request, reply, cached=False)
            if reply.prompt_tokens is not None and reply.completion_tokens is not None:
                self.sender.correct(reply.prompt_tokens + reply.completion_tokens - expected)
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

    async def _attempt(self, request: Request) -> Reply:
        """Send once, within the budget."""
        bound, lost = self.meter.bound(request), 0.0
        if not await self.meter.reserve(bound):
            raise Stop(self.meter.exhausted())
        try:
            await self.sender.sleep(0)  # everything may have stopped meanwhile
            return await self.endpoint.chat(request)
        except (Again, Refused, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) or error.lost:
                lost = bound
                self.meter.lose(request, self.cache)
            if not isinstance(error, Refused):
                raise
            self._hopeless += 1
            if not (self.sender.answered or self.meter.cached) and self._hopeless >= HOPELESS:
                raise Stop(
                    f"{self.endpoint.url} refused the first {HOPELESS} requests, the last: {error}; "
                    "mend llm.parameters or llm.model"
                ) from None
            raise
        finally:
            self.meter.settle(bound, lost)
