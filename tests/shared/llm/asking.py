"""What the tests of the client ask for, and a run of it in a process of its own.

    python -m tests.shared.llm.asking RUN

RUN is a file of JSON: {"llm": changes of the settings, "tasks": what `tasks` takes, "out": a file for the values}, and
maybe "die": "before" or "after" a batch is created, "grace": seconds after an interrupt.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

from stages.settings import yaml12
from stages.settings.llm import Llm
from stages.shared import errors
from stages.shared.endpoint import sending
from stages.shared.llm.converse import ask
from stages.shared.llm.request import Steps
from stages.shared.llm.session import Session, WritingTask
from stages.shared.llm.texts import Texts, check_texts, stand_in
from stages.synthesize.forms import Queries, check_queries

ROOT = Path(__file__).parents[3]
# For quick tests, of an endpoint that asks for no key.
QUICK = {
    "provider": "openai",
    "key_env": None,
    "concurrency": 8,
    "timeout": 5.0,
    "retries": 2,
    "patience": 2.0,
    "poll_seconds": 0.01,
}


def settings(**changes: object) -> Llm:
    return Llm.model_validate(yaml12.load(ROOT / "params.yaml")["llm"] | QUICK | changes)


def prompt(number: int, size: int = 0) -> str:
    form = '{"queries": ["...", "..."]}'
    return (
        f"You write search queries in Korean for test {number}.\nWrite 2 different ones.\n"
        f"Reply with JSON alone: {form}\n{'x' * size}"
    )


def translation(texts: list[str]) -> str:
    listed = json.dumps(texts, ensure_ascii=False)
    return f'You translate into English\nReply with JSON alone: {{"texts": ["..."]}}\nTexts: {listed}'


def steps(llm: Llm, number: int, translated: bool = False, size: int = 0) -> Steps:
    """Two queries in Korean; `translated`: and then their translations, which a second request asks for."""
    check = partial(check_queries, count=2, lang="ko", name="Korean")
    found = (yield from ask(llm, prompt(number, size), Queries, stand_in(Queries, ["q" * 60] * 2), check)).queries
    if not translated:
        return found
    check = partial(check_texts, sources=found, lang="en", name="English")
    texts = yield from ask(llm, translation(found), Texts, stand_in(Texts, found), check)
    return [*found, *texts.texts]


def tasks(llm: Llm, count: int, begin: int = 0, translated: bool = False, size: int = 0) -> list[WritingTask]:
    return [WritingTask(f"item {n}", partial(steps, llm, n, translated, size)) for n in range(begin, begin + count)]


def dying(moment: str) -> None:
    """Have this process killed `moment` (before or after) it creates a batch."""
    from openai.resources.batches import AsyncBatches

    create = AsyncBatches.create

    async def dies(*some: object, **named: object) -> None:
        if moment == "after":
            await create(*some, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    AsyncBatches.create = dies


def main() -> None:
    # Who starts the tests in the background has their processes ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    llm = settings(**run["llm"])
    if "die" in run:
        dying(run["die"])
    sending.GRACE = run.get("grace", sending.GRACE)
    with Session(llm, "synthesize", "ask for none") as session:
        made = session.run({"queries": tasks(llm, **run["tasks"])})["queries"]
        values = {"made": made, "failures": session.failures, "cost": session.meter.cost}
    Path(run["out"]).write_text(json.dumps(values, ensure_ascii=False, indent=0), encoding="utf-8")


if __name__ == "__main__":
    errors.run(main)
