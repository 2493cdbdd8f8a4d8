"""Requests through the whole client (keys, claims, cache, checks, progress) beside a plain loop that keeps nothing.

python benchmarks/llm.py [--requests 5000] [--concurrency 64] [--latency 0.1] asks a local server that answers each
request after the latency, several times in turn: with `asyncio.gather` over the openai client, and with
`stages.shared.llm`. It prints each time as a multiple of the ideal, requests x latency / concurrency, and the
memory that the second took while running.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stages.settings import yaml12  # noqa: E402
from stages.settings.llm import Llm  # noqa: E402
from stages.shared.llm.converse import ask  # noqa: E402
from stages.shared.llm.session import Session, WritingTask  # noqa: E402
from stages.synthesize.forms import Queries  # noqa: E402

PROMPT = "You write search queries in English.\n\nWrite 2 different English queries. " + "Some passage. " * 70


@contextmanager
def server(latency: float) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.fakes.endpoint", "--port", "0", "--latency", str(latency)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def plain(url: str, count: int, concurrency: int, turn: int) -> None:
    """What one writes at first."""

    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            gate = asyncio.Semaphore(concurrency)

            async def one(number: int) -> str:
                async with gate:
                    message = {"role": "user", "content": f"{PROMPT} plain {turn} {number}"}
                    reply = await client.chat.completions.create(model="m", messages=[message])  # type: ignore[list-item]
                    return reply.choices[0].message.content or ""

            await asyncio.gather(*(one(number) for number in range(count)))

    asyncio.run(run())


def ours(url: str, count: int, concurrency: int, turn: int, folder: str) -> None:
    llm = Llm.model_validate(
        yaml12.load(ROOT / "params.yaml")["llm"]
        | {
            "provider": "openai",
            "base_url": url,
            "key_env": None,
            "cache": f"{folder}/{turn}.sqlite",
            "concurrency": concurrency,
        }
    )

    def task(number: int) -> WritingTask:
        def steps():  # type: ignore[no-untyped-def]
            prompt = f"{PROMPT} ours {turn} {number}"
            form = {"queries": ["q" * 60] * 2}
            reply = yield from ask(llm, prompt, Queries, form, lambda r: None if len(r.queries) == 2 else "count")
            return reply.queries

        return WritingTask(str(number), steps)

    with Session(llm, "synthesize", "ask for none") as session:
        made = session.run({"queries": [task(number) for number in range(count)]})["queries"]
    assert len(made) == count and not session.failures


@contextmanager
def memory(seconds: float = 0.25) -> Iterator[list[float]]:
    """This process's resident MB, taken every so often."""
    sizes: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(seconds):
            sizes.append(psutil.Process().memory_info().rss / 2**20)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sizes
    finally:
        done.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    ideal = given.requests * given.latency / given.concurrency
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    with server(given.latency) as url, tempfile.TemporaryDirectory() as folder:
        plain(url, given.concurrency * 2, given.concurrency, -1)  # connections, imports
        for turn in range(given.turns):
            begin = time.perf_counter()
            plain(url, given.requests, given.concurrency, turn)
            times["plain"].append((time.perf_counter() - begin) / ideal)
            with memory() as sizes:
                begin = time.perf_counter()
                ours(url, given.requests, given.concurrency, turn, folder)
                times["ours"].append((time.perf_counter() - begin) / ideal)
        # Nothing is asked again: how long a study takes whose replies are all in the cache.
        begin = time.perf_counter()
        ours(url, given.requests, given.concurrency, 0, folder)
        cached = time.perf_counter() - begin
    print(f"{given.requests:,} requests of {given.latency:g} s, {given.concurrency} at once: ideal {ideal:.2f} s")
    for name, found in times.items():
        print(f"{name:5}  {statistics.median(found):.2f} x ideal ({', '.join(f'{t:.2f}' for t in found)})")
    print(f"all from the cache: {cached:.2f} s")
    quarter = max(1, len(sizes) // 4)
    print(f"memory: {sizes[quarter]:.0f} MB after a quarter of the time, {sizes[-1]:.0f} MB at the end")


if __name__ == "__main__":
    main()
