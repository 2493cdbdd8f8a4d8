"""What is sent, what it costs, and what it may cost.

Dollars are counted over the replies that a study uses, those of earlier runs included: a run that is killed and
started again does not begin at zero. A request is sent only if its bound fits below `llm.max_cost_usd`: its bytes for
its tokens, and the longest reply it may get. Attempts whose reply was lost count at their bound too, since they may
be billed.
"""

from __future__ import annotations

from stages.settings.llm import Llm
from stages.shared.endpoint.budget import Budget
from stages.shared.llm.cache import Cache
from stages.shared.llm.request import Reply, Request

# Tokens that the chat format adds to a message, at most.
FRAME = 16
# Bytes a token, where the cache knows no replies of the model.
BYTES_PER_TOKEN = 3.5


def most_tokens(request: Request) -> int:
    """Tokens that are sent, at most: no tokenizer makes more of a text than its bytes."""
    return request.size + FRAME * len(request.messages)


def expected_tokens(request: Request) -> float:
    """Tokens of a request and its reply, by their bytes."""
    return (request.size + len(request.stand_in.encode())) / BYTES_PER_TOKEN


class Meter(Budget):
    def __init__(self, llm: Llm) -> None:
        super().__init__(llm.max_cost_usd, "llm.max_cost_usd")
        self.llm = llm
        # As the endpoint counts them.
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.sent = 0
        self.cached = 0
        self._seen: set[str] = set()
        self._lost: set[str] = set()

    def price(self, prompt_tokens: float, completion_tokens: float) -> float:
        prices = self.llm.prices
        return (prompt_tokens * prices.input + completion_tokens * prices.output) / 1e6 if prices else 0.0

    def bound(self, request: Request) -> float:
        """Dollars that the request costs at most."""
        return self.price(most_tokens(request), self.llm.longest_reply or 0)

    def count(self, request: Request, reply: Reply, cached: bool) -> None:
        """Count a reply, once however often the study uses it."""
        if request.key in self._seen:
            return
        self._seen.add(request.key)
        sent, replied = reply.prompt_tokens, reply.completion_tokens
        self.prompt_tokens += sent or 0
        self.completion_tokens += replied or 0
        # Where the endpoint does not say, bytes: too many rather than too few.
        self.cost += self.price(
            most_tokens(request) if sent is None else sent,
            len((reply.content or "").encode()) if replied is None else replied,
        )
        if cached:
            self.cached += 1
        else:
            self.sent += 1

    def lose(self, request: Request, cache: Cache) -> None:
        """Remember an attempt of this run whose reply was lost, and which may be billed; `settle` counts it."""
        self.count_lost(request, cache)
        cache.lose(request.key)

    def count_lost(self, request: Request, cache: Cache) -> None:
        """Count the attempts whose replies were lost before this run, once."""
        if request.key not in self._lost:
            self._lost.add(request.key)
            self.cost += cache.lost(request.key) * self.bound(request)
