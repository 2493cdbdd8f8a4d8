"""Tasks from their first request to what they make, over one cache.

Asking only fills the cache; what a stage writes is always read back from it. So a recorded study, a resumed one and one
that was never disturbed are the same code and give the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from stages.settings.llm import Llm
from stages.shared import state
from stages.shared.endpoint.client import MASKED
from stages.shared.errors import UserError
from stages.shared.llm.batch import Batches
from stages.shared.llm.cache import Cache, Recorded, path_of
from stages.shared.llm.direct import Direct
from stages.shared.llm.meter import BYTES_PER_TOKEN, Meter
from stages.shared.llm.request import REFUSED, STAND_IN, Failed, Reply, Request, Steps


class WritingTask(NamedTuple):
    """`steps` begins the task anew at each call; `name` is its row among the failures."""

    name: str
    steps: Callable[[], Steps]


class Failure(NamedTuple):
    job: str
    task: str
    reason: str


class Estimate(NamedTuple):
    """What a job will need, by a dry run."""

    job: str
    requests: int
    cached: int
    prompt_tokens: float
    completion_tokens: float
    dollars: float

    @staticmethod
    def sum(some: list[Estimate]) -> Estimate:
        totals = [sum(column) for column in zip(*(row[1:] for row in some), strict=True)] or [0] * 5
        return Estimate("all", *totals)


class Session:
    """A stage's dealings with the model; a context manager that closes the cache.

    Args:
        llm: the settings.
        asker: the stage, for messages.
        instead: how nothing is asked for, for messages.
        dry_run: whether only to estimate.
    """

    def __init__(self, llm: Llm, asker: str, instead: str, dry_run: bool = False) -> None:
        self.llm, self.asker, self.instead = llm, asker, instead
        self.dry_run = dry_run
        self.failures: list[Failure] = []
        self.estimates: list[Estimate] = []
        self.items: dict[str, int] = {}
        # By key, the task that first used the reply.
        self.used: dict[str, str] = {}
        # The keys of requests whose replies the endpoint's own key was masked in.
        self.masked: set[str] = set()
        # By key, why a request that the study needs has no reply.
        self.unanswered: dict[str, Reply] = {}
        self.meter = Meter(llm)
        self._refused: dict[str, str] = {}
        if llm.provider == "recorded":
            self.cache: Cache = Recorded(Path(llm.recorded))
        else:
            self.cache = Cache(path_of(llm.cache, state.ROOT))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.cache.close()

    def run(self, jobs: dict[str, list[WritingTask]]) -> dict[str, list[Any]]:
        """What each task of each job makes, in order; None for those that failed, which `failures` then lists.

        The jobs are asked for together, which in batch mode saves a day each. Raises `UserError` if asking had to stop,
        or if a recorded study lacks replies.
        """
        jobs = {job: tasks for job, tasks in jobs.items() if tasks}
        self.items |= {job: len(tasks) for job, tasks in jobs.items()}
        if self.dry_run:
            return {job: self._imagine(job, tasks) for job, tasks in jobs.items()}
        if jobs and self.llm.provider == "openai":
            self._ask(" and ".join(jobs), [task for tasks in jobs.values() for task in tasks])
        return {job: self._read(job, tasks) for job, tasks in jobs.items()}

    def _read(self, job: str, tasks: list[WritingTask]) -> list[Any]:
        made, missing = [], []
        for task in tasks:
            value = None
            try:
                value, request = self._follow(task)
                if request is not None:
                    missing.append(task.name)
                    why = self._refused.get(request.key, "no reply")
                    self.used.setdefault(request.key, task.name)
                    self.unanswered[request.key] = Reply(None, REFUSED, why)
                    raise Failed(why)
            except Failed as error:
                self.failures.append(Failure(job, task.name, str(error)))
            made.append(value)
        if missing and self.llm.provider == "recorded":
            raise UserError(
                f"{self.llm.recorded} has no reply to {len(missing):,} of {len(tasks):,} requests of {job} "
                f"(the first: {missing[0]}): a reply answers one exact request, so restore the prompt and the settings "
                f"it was recorded with, {self.instead}, or set llm.provider to openai"
            )
        return made

    def _follow(self, task: WritingTask) -> tuple[Any, Request | None]:
        """What the task makes of cached replies, or the first request that has none."""
        steps = task.steps()
        try:
            request = next(steps)
            while (reply := self.cache.get(request.key)) is not None:
                self._count_lost(request)
                self.meter.count(request, reply, cached=True)
                self.used.setdefault(request.key, task.name)
                if MASKED in f"{reply.content}{reply.refusal}":
                    self.masked.add(request.key)
                request = steps.send(reply)
        except StopIteration as end:
            return end.value, None
        steps.close()
        self._count_lost(request)
        return None, request

    def _count_lost(self, request: Request) -> None:
        """Count what attempts of runs before this one may have cost."""
        if self.llm.max_cost_usd is not None:
            self.meter.count_lost(request, self.cache)

    def _ask(self, job: str, tasks: list[WritingTask]) -> None:
        """Have the cache filled with all that the tasks ask for."""
        asking: Direct | Batches
        if self.llm.mode == "batch":
            asking = Batches(self.llm, self.cache, self.meter)
            asyncio.run(asking.run(lambda refused: self._pending(tasks, refused)))
        else:
            if self.llm.max_cost_usd is not None:
                self._pending(tasks, {})  # counts what is in the cache before anything is sent
            with tqdm(total=len(tasks), desc=job, unit="item") as bar:

                def progress() -> None:
                    meter = self.meter
                    cost = f", ${meter.cost:.4f}" if self.llm.prices else ""
                    bar.set_postfix_str(
                        f"{meter.sent:,} asked, {meter.cached:,} cached, {direct.failed:,} failed, "
                        f"{(meter.prompt_tokens + meter.completion_tokens) / 1000:,.0f}k tokens{cost}",
                        refresh=False,
                    )
                    bar.update()

                asking = direct = Direct(self.llm, self.cache, self.meter, progress)
                asyncio.run(direct.run(task.steps() for task in tasks))
        self._refused |= asking.refused
        if asking.stopped:
            raise UserError(f"{self.asker}, {job}: {asking.stopped}")

    def _pending(self, tasks: list[WritingTask], refused: dict[str, str]) -> dict[str, Request]:
        """The next request of each task that waits for one."""
        pending = {}
        for task in tasks:
            try:
                request = self._follow(task)[1]
            except Failed:
                continue
            if request is not None and request.key not in refused:
                pending[request.key] = request
        return pending

    def _imagine(self, job: str, tasks: list[WritingTask]) -> list[Any]:
        """Follow tasks with stand-ins for the replies that are not in the cache, and estimate what those will need."""
        rates = self.cache.rates(self.llm.model)
        requests = cached = 0
        prompt_tokens = completion_tokens = 0.0
        made: list[Any] = []
        seen: set[str] = set()
        for task in tasks:
            steps, value = task.steps(), None
            try:
                request = next(steps)
                while True:
                    reply = self.cache.get(request.key)
                    if reply is None:
                        # Not compared with others: what builds on stand-ins is alike here and will not be then.
                        requests += 1
                        length = len(request.stand_in.encode())
                        rate = rates.get(request.form.__name__, (1 / BYTES_PER_TOKEN, 1 / BYTES_PER_TOKEN))
                        prompt_tokens += request.size * rate[0]
                        completion_tokens += length * rate[1]
                    elif request.key not in seen:
                        seen.add(request.key)
                        requests += 1
                        cached += 1
                        self.meter.count(request, reply, cached=True)
                    request = steps.send(reply or Reply(request.stand_in, STAND_IN))
            except StopIteration as end:
                value = end.value
            except Failed:
                pass
            made.append(value)
        dollars = self.meter.price(prompt_tokens, completion_tokens)
        self.estimates.append(Estimate(job, requests, cached, prompt_tokens, completion_tokens, dollars))
        return made
