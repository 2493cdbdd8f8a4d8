"""Requests sent through the OpenAI Batch API: cheaper, within a day, and safe against a kill at any point.

A batch is written into the cache before it is submitted, with a tag that the endpoint stores with it. So a run that was
killed between submitting and learning the batch's id finds it again by its tag, and nothing is submitted twice. What
fails with an error that may pass goes into the next batch; requests that follow from replies do as well.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from stages.settings.llm import Llm
from stages.shared.endpoint.faults import Again, Refused, Stop, Unknown
from stages.shared.endpoint.usage import whole
from stages.shared.llm.cache import Cache, OpenBatch
from stages.shared.llm.endpoint import Endpoint
from stages.shared.llm.meter import Meter
from stages.shared.llm.request import Reply, Request

log = logging.getLogger(__name__)
# The API takes 200 MB a batch.
MOST_BYTES = 190_000_000
OVER = ("completed", "failed", "expired", "cancelled")
TAG = "isogloss"
# Seconds for a file of so many bytes at a slow connection, and bytes of what comes back, which is longer than was sent.
FILE_SECONDS, LARGEST_FILE = 1800.0, 1 << 30


class Batches:
    """`run` leaves every reply in the cache; `refused` then says why a request has none, `stopped` why it ended."""

    def __init__(self, llm: Llm, cache: Cache, meter: Meter) -> None:
        self.llm, self.cache, self.meter = llm, cache, meter
        self.refused: dict[str, str] = {}
        self.stopped: str | None = None
        self._attempts: Counter[str] = Counter()
        self._collected = 0
        self._full: str | None = None

    async def run(self, pending: Callable[[dict[str, str]], dict[str, Request]]) -> None:
        """Submit and collect until nothing is left; `pending` gives the requests that have neither a reply in the
        cache nor a reason in the mapping it is called with."""
        if not (wanted := pending(self.refused)):
            return
        self.endpoint = Endpoint(self.llm, LARGEST_FILE)
        try:
            while wanted:
                await self._round(wanted)
                wanted = pending(self.refused)
        except Stop as error:
            self.stopped = str(error)
        finally:
            await self.endpoint.close()

    async def _round(self, wanted: dict[str, Request]) -> None:
        open_before = await self._adopted()
        bounds: dict[str, float] = {}
        for batch in open_before:
            if asked := batch.keys & wanted.keys():
                bounds[batch.tag] = sum(self.meter.bound(wanted[key]) for key in asked)
                self.meter.set_aside(bounds[batch.tag])
        covered = set().union(*(batch.keys for batch in open_before))
        rest = [request for key, request in wanted.items() if key not in covered]
        while rest:
            chunk, rest, bound = self._chunk(rest)
            if not chunk:
                break
            tag = await self._submit(chunk)
            bounds[tag] = bound
        waited = [b for b in self.cache.open_batches(self.endpoint.url) if b.keys & wanted.keys()]
        for tag in bounds.keys() - {batch.tag for batch in waited}:
            self.meter.settle(bounds[tag])  # another process was first
        if not waited and not bounds:
            raise Stop(self.meter.exhausted())
        if not waited:
            await asyncio.sleep(self.llm.poll_seconds)
        self._collected, self._full = 0, None
        for batch in waited:
            lost = await self._collect(batch, wanted)
            self.meter.settle(bounds.get(batch.tag, 0.0), lost)
        if self._full and not self._collected:
            raise Stop(f"{self.endpoint.url} takes no batch of this size ({self._full}): lower llm.batch_size")

    def _chunk(self, requests: list[Request]) -> tuple[list[Request], list[Request], float]:
        """The first requests that a batch and the budget have room for, the rest, and the dollars set aside."""
        chunk: list[Request] = []
        dollars, size = 0.0, 0
        for request in requests:
            size += 2 * request.size + 1000
            bound = self.meter.bound(request)
            if len(chunk) == self.llm.batch_size or size > MOST_BYTES or not self.meter.fits(bound):
                break
            self.meter.set_aside(bound)
            dollars += bound
            chunk.append(request)
        return chunk, requests[len(chunk) :], dollars

    async def _adopted(self) -> list[OpenBatch]:
        """The open batches of this endpoint, those whose id a kill has lost found again by their tags."""
        found = []
        batch: OpenBatch | None
        for batch in self.cache.open_batches(self.endpoint.url):
            while batch and batch.name is None and batch.taken:
                await asyncio.sleep(1.0)  # another process is just submitting it
                batch = {b.tag: b for b in self.cache.open_batches(self.endpoint.url)}.get(batch.tag)
            if batch is None:  # it has also collected it
                continue
            if batch.name is None:
                name = await self._find(batch.tag)
                if name is None:
                    self.cache.close_batch(batch.tag, {})
                    continue
                self.cache.name_batch(batch.tag, name)
                batch = batch._replace(name=name)
            found.append(batch)
        return found

    async def _find(self, tag: str) -> str | None:
        """The id of the batch that carries `tag`, if it was submitted."""
        after: Any = self.endpoint.omitted
        while True:
            page = await self._call(partial(self.endpoint.client.batches.list, after=after, limit=100))
            for batch in page.data:
                if (batch.metadata or {}).get(TAG) == tag:
                    return self._name(batch)
            if not page.data or not getattr(page, "has_more", False):
                return None
            after = page.data[-1].id

    async def _submit(self, requests: list[Request]) -> str:
        tag = uuid.uuid4().hex
        requests = self.cache.open_batch(tag, self.endpoint.url, requests)
        if not requests:  # another process was first
            self.cache.close_batch(tag, {})
            return tag
        lines = [
            {
                "custom_id": r.key,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": r.body(self.endpoint.structured),
            }
            for r in requests
        ]
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        client = self.endpoint.client
        try:
            file = await self._call(
                lambda: client.files.create(file=(f"{tag}.jsonl", io.BytesIO(content)), purpose="batch"), FILE_SECONDS
            )
        except Unknown as error:
            self.cache.close_batch(tag, {})
            raise Stop(f"{self.endpoint.url} has no Batch API ({error}): set llm.mode to direct") from None
        first = True

        async def create() -> str:
            nonlocal first
            # A lost answer may hide a batch that was made.
            if not first and (made := await self._find(tag)):
                return made
            first = False
            creating = client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={TAG: tag},
            )
            return self._name(await self.endpoint.call(creating))

        name = await self._repeat(create)
        self.cache.name_batch(tag, name)
        log.info(f"batch {name}: submitted {len(requests):,} requests")
        return tag

    async def _collect(self, batch: OpenBatch, wanted: dict[str, Request]) -> float:
        """Wait until a batch is over, and keep what it brought; the dollars that replies of no use may cost."""
        name, lost = batch.name, 0.0
        if name is None:
            return lost
        state: Any = None
        lines: list[dict[str, Any]] = []
        try:
            state = await self._over(name)
            for file in (state.output_file_id, state.error_file_id):
                lines += await self._lines(file) if file else []
        except Unknown as error:
            raise Stop(
                f"{self.endpoint.url} does not know the batch {name} or its files ({error}): use the key that "
                "submitted it, or give it up with python -m stages.synthesize --forget-batches"
            ) from None
        replies: dict[str, Reply] = {}
        errors: dict[str, Exception] = {}
        asked = self.endpoint.structured
        for line in lines:
            key = str(line.get("custom_id"))
            try:
                replies[key] = self._reply(line, asked)
            except (Again, Refused, Stop) as error:
                errors[key] = error
        first = next(iter((state.errors.data if state.errors else None) or []), None)
        # As many tokens as the account may have waiting: the rest goes when these batches are done.
        full = state.status == "failed" and first is not None and first.code == "token_limit_exceeded"
        self.cache.close_batch(batch.tag, replies)
        self._collected += len(replies)
        if full and first:
            self._full = self.endpoint.redact(first.message or first.code or "")
            return lost
        for key in batch.keys & wanted.keys():
            if key in replies:
                self.meter.count(wanted[key], replies[key], cached=False)
                continue
            why = errors.get(key, Again(f"the batch {state.status} without it"))
            self._attempts[key] += 1
            if isinstance(why, Again | Refused) and why.lost:
                self.meter.lose(wanted[key], self.cache)
                lost += self.meter.bound(wanted[key])
            if not isinstance(why, Again):
                self.refused[key] = str(why)
            elif self._attempts[key] > self.llm.retries:
                self.refused[key] = f"no reply in {self._attempts[key]} batches, the last: {why}"
        if state.status == "failed":
            said = self.endpoint.redact(first.message or first.code or "") if first else "no reason given"
            raise Stop(f"the endpoint could not work on the batch {name} ({said}): mend that and run again")
        for stop in errors.values():
            if isinstance(stop, Stop):
                raise stop
        return lost

    def _reply(self, line: dict[str, Any], asked: str) -> Reply:
        """The reply in a line of a batch's files, `asked` for in this form; raises what any error in it means."""
        response = line.get("response")
        response = response if isinstance(response, dict) else {}
        status, body = whole(response.get("status_code")), response.get("body")
        try:
            if status not in (None, 200):
                raise self.endpoint.meaning(status or 500, line if line.get("error") else body)
            if (error := self.endpoint.error(line)) is not None:
                raise error
            return self.endpoint.reply(body)
        except Refused as error:
            raise self.endpoint.otherwise(error, asked) from None

    def _name(self, batch: Any) -> str:
        """The id of a batch; raises `Stop` if that is none to keep."""
        name = getattr(batch, "id", None)
        if not isinstance(name, str) or not name or self.endpoint.redact(name) != name:
            raise Stop(f"{self.endpoint.url} gives a batch without an id: set llm.mode to direct")
        return name

    async def _over(self, name: str) -> Any:
        """The batch, once it is over."""
        said = ""
        while True:
            state = await self._call(lambda: self.endpoint.client.batches.retrieve(name))
            counts = state.request_counts
            progress = f"{counts.completed} of {counts.total}, {counts.failed} failed" if counts else "no counts"
            if (now := self.endpoint.redact(f"batch {name}: {state.status}, {progress}")) != said:
                log.info(now)
                said = now
            if state.status in OVER:
                return state
            await asyncio.sleep(self.llm.poll_seconds)

    async def _lines(self, file: str) -> list[dict[str, Any]]:
        content = await self._call(lambda: self.endpoint.client.files.content(file), FILE_SECONDS)
        lines, strange = [], 0
        # Not splitlines: texts may hold other line separators.
        for line in content.content.split(b"\n"):
            if not line.strip():
                continue
            try:
                found = self.endpoint.parsed(line)
            except Again:
                found = None
            if isinstance(found, dict):
                lines.append(found)
            else:
                strange += 1
        if strange:
            log.warning(f"{strange:,} lines of the file {self.endpoint.redact(file)} are no JSON: left out")
        return lines

    async def _call(self, make: Callable[[], Awaitable[Any]], seconds: float | None = None) -> Any:
        """A call of the client; `seconds`: for an answer."""
        return await self._repeat(lambda: self.endpoint.call(make(), seconds))

    async def _repeat(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        """What `attempt` returns, repeated with growing pauses while its failure may pass."""
        for number in range(self.llm.retries + 1):
            try:
                return await attempt()
            except Refused as error:
                raise Stop(f"{self.endpoint.url} does not take batches: {error}") from None
            except Again as error:
                last = error
                if number < self.llm.retries:
                    await asyncio.sleep(min(60.0, 0.5 * 2**number) if error.wait is None else error.wait)
        raise Stop(
            f"{self.endpoint.url} has not answered in {self.llm.retries + 1} attempts ({last}); batches already "
            "submitted are remembered: run again to collect them"
        )
