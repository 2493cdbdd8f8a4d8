"""An embeddings endpoint as a reference: any that speaks `/v1/embeddings` of the OpenAI API.

A vector is asked for once (`paid`), and what is written comes from what is kept. Requests hold several texts each, and
go through the limits, retries and budget of any endpoint. One that is refused ends the run: without some of its texts a
row would be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from stages.references.paid import Paid, PaidVector
from stages.settings.references import EmbeddingEndpoint
from stages.shared.encoder import normalized
from stages.shared.endpoint.budget import Budget
from stages.shared.endpoint.client import LARGEST, Client
from stages.shared.endpoint.faults import Again, Refused, Stop
from stages.shared.endpoint.sending import Sender
from stages.shared.endpoint.usage import counted
from stages.shared.errors import UserError
from stages.shared.roles import Role
from stages.shared.state import STATE

log = logging.getLogger(__name__)
# Bytes of a token, by which requests are paced.
TOKEN_BYTES = 3.5
# Tokens that a model may set around a text.
AROUND = 16
# Bytes of a vector in an answer, at most: 16,384 numbers of 32 characters.
VECTOR_BYTES = 1 << 19
# Characters of a text that a message shows.
SHOWN = 40
# Texts by the keys of their vectors.
Keyed = dict[bytes, str]


class Embeddings:
    """An `Encoder` by way of an endpoint.

    Args:
        settings: of the endpoint.
        group: their place in params.yaml, for messages.
    """

    def __init__(self, settings: EmbeddingEndpoint, group: str) -> None:
        self.settings, self.group = settings, group
        self.budget = Budget(settings.max_cost_usd, f"{group}.max_cost_usd")
        self.dimension: int | None = settings.dimensions
        self._counted: set[bytes] = set()

    def record(self) -> dict[str, Any]:
        settings = self.settings
        return {"name": settings.model, "prompts": settings.prompts.model_dump(), "dimension": self.dimension}

    def encode(self, texts: list[str], role: Role) -> np.ndarray:
        """Unit vectors of `texts`, float32, shape [len(texts), dimension]; raises `UserError`."""
        prompt, beside = getattr(self.settings.prompts, role), getattr(self.settings.parameters, role)
        limit = self.settings.max_chars
        if limit and (longer := sum(len(text) > limit for text in texts)):
            log.warning(f"{longer:,} of {len(texts):,} texts ({role}) are cut at {self.group}.max_chars, {limit:,}")
        sent = [prompt + text[:limit] for text in texts]
        with Paid(STATE / "paid-vectors.sqlite", [self.settings.model, self.settings.dimensions]) as paid:
            wanted = {paid.key([role, beside, text]): text for text in sent}
            missing = {key: text for key, text in wanted.items() if paid.get(key) is None}
            with paid.alone() if missing else contextlib.nullcontext():
                # Another process may have asked meanwhile.
                missing = {key: text for key, text in missing.items() if paid.get(key) is None}
                self._count(paid, wanted)
                if missing:
                    self.dimension = self.dimension or paid.dimension()
                    asyncio.run(self._ask(paid, missing, beside))
            log.info(f"{role}: {len(missing):,} of {len(wanted):,} texts asked for, the others' vectors were kept")
            found = {key: self._kept(paid, key) for key in wanted}
            self.dimension = paid.dimension()
            return normalized(np.stack([found[paid.key([role, beside, text])] for text in sent]))

    def _count(self, paid: Paid, wanted: Keyed) -> None:
        """Count what those of `wanted` cost that are kept, and the attempts for any that were lost, once."""
        for key in wanted.keys() - self._counted:
            most, held = _most_tokens(wanted[key]), paid.get(key)
            tokens = 0 if held is None else most if held.tokens is None else held.tokens
            self.budget.cost += self._price(tokens + most * paid.lost(key))
            self._counted.add(key)

    def _kept(self, paid: Paid, key: bytes) -> np.ndarray:
        held = paid.get(key)
        if held is None:
            raise UserError(f"{paid.path} lost a vector that it held: run again")
        return held.vector

    def _price(self, tokens: float) -> float:
        return (self.settings.price or 0.0) * tokens / 1e6

    async def _ask(self, paid: Paid, missing: Keyed, beside: dict[str, Any]) -> None:
        """Have `paid` filled with the vectors of `missing`."""
        largest = LARGEST + self.settings.batch_size * VECTOR_BYTES
        client, sender = Client(self.settings, self.group, largest), Sender(self.settings, self.group)
        keys, size = list(missing), self.settings.batch_size
        chunks = iter([{key: missing[key] for key in keys[at : at + size]} for at in range(0, len(keys), size)])

        async def work() -> None:
            for chunk in chunks:
                attempt = partial(self._attempt, client, sender, paid, chunk, beside)
                tokens = sum(len(text.encode()) for text in chunk.values()) / TOKEN_BYTES
                try:
                    await sender.send(next(iter(chunk)).hex(), attempt, tokens)
                except Stop as error:
                    sender.stop(str(error))
                    return
                except Refused as error:
                    sender.stop(self._refusal(error, chunk, client.url))
                    return
                bar.update(len(chunk))

        log.info(f"{len(missing):,} texts to embed at {client.url} with {self.settings.model}")
        try:
            with sender.interruptible(), tqdm(total=len(missing), desc="embeddings", unit=" texts") as bar:
                await asyncio.gather(*(work() for _ in range(self.settings.concurrency)))
        finally:
            await client.close()
        if sender.stopped:
            raise UserError(f"{self.group}: {sender.stopped}")

    def _refusal(self, error: Refused, chunk: Keyed, url: str) -> str:
        if error.status is None:
            return f"{url}: {error}; vectors so far are kept: run again to go on"
        begins = next(iter(chunk.values()))[:SHOWN]
        return (
            f"{url}, asked for {len(chunk)} texts of which the first begins {begins!r}: {error}; mend the settings, or "
            "set max_chars if texts are too long for the model"
        )

    async def _attempt(self, client: Client, sender: Sender, paid: Paid, chunk: Keyed, beside: dict[str, Any]) -> None:
        """Send once, within the budget, and keep what comes."""
        bound, lost = self._price(sum(map(_most_tokens, chunk.values()))), 0.0
        if not await self.budget.reserve(bound):
            raise Stop(self.budget.exhausted())
        body = {"model": self.settings.model, "input": list(chunk.values()), **beside}
        if self.settings.dimensions:
            body["dimensions"] = self.settings.dimensions
        try:
            await sender.sleep(0)  # everything may have stopped meanwhile
            answer = await client.call(client.client.post("/embeddings", body=body, cast_to=client.response))
            found = self._read(client, answer.content, chunk)
        except (Again, asyncio.CancelledError) as error:
            if not isinstance(error, Again) or error.lost:
                lost = bound
                paid.lose(list(chunk))
            raise
        finally:
            self.budget.settle(bound, lost)
        paid.put(found)  # first of all: it is paid for
        tokens = [_most_tokens(chunk[key]) if held.tokens is None else held.tokens for key, held in found.items()]
        self.budget.cost += self._price(sum(tokens))

    def _read(self, client: Client, content: bytes, chunk: Keyed) -> dict[bytes, PaidVector]:
        """The vectors in an answer; raises `Again` if it has none, `Refused` or `Stop` if it has an error in their
        place, and `Stop` if they cannot be used."""
        body = client.parsed(content)
        if (error := client.error(body, holds="data")) is not None:
            raise error
        try:
            rows = sorted(body["data"], key=lambda row: row.get("index", -1))
            if (error := next(filter(None, map(client.error, rows)), None)) is not None:
                raise error
            vectors = [np.array(row["embedding"], np.float32) for row in rows]
            found = [row["index"] for row in rows]
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            raise Again("the endpoint's answer holds no vectors", lost=True) from None
        if found != list(range(len(chunk))):
            raise Again(f"the endpoint's answer holds {len(rows)} vectors for {len(chunk)} texts", lost=True)
        for vector in vectors:
            self._check(vector, client.url)
        tokens = counted(body, "prompt_tokens")
        sizes = [len(text.encode()) for text in chunk.values()]
        shares = [None if tokens is None else tokens * size / max(1, sum(sizes)) for size in sizes]
        return {key: PaidVector(*held) for key, held in zip(chunk, zip(vectors, shares, strict=True), strict=True)}

    def _check(self, vector: np.ndarray, url: str) -> None:
        """Raise `Stop` if `vector` is not of the dimension that all are to have, or no vector of numbers."""
        if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
            raise Stop(f"{url} gives vectors that are no numbers: check the model {self.settings.model!r}")
        wanted, found = self.dimension or len(vector), len(vector)
        if found != wanted:
            said = f"{url} gives vectors of {found:,} dimensions"
            if self.settings.dimensions:
                raise Stop(f"{said}, but dimensions is {wanted:,}: write {found}, or null")
            raise Stop(
                f"{said}, but those that came before from the model {self.settings.model!r} have {wanted:,}: give "
                "another model another name"
            )
        self.dimension = wanted


def _most_tokens(text: str) -> int:
    """Tokens that are billed for a text, at most: no tokenizer makes more of it than its bytes."""
    return len(text.encode()) + AROUND
