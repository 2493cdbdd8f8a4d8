"""What requests may cost, together: nothing is sent whose bound does not fit."""

from __future__ import annotations

import asyncio

# Seconds between two looks at whether the budget has room again.
WAIT = 0.05


class Budget:
    """Dollars spent and set aside. `limit`: the most, which params.yaml has under `key`; None: any."""

    def __init__(self, limit: float | None, key: str) -> None:
        self.limit, self.key = limit, key
        self.cost = 0.0
        self._reserved = 0.0

    def fits(self, dollars: float) -> bool:
        return self.limit is None or self.cost + self._reserved + dollars <= self.limit

    def exhausted(self) -> str:
        return (
            f"stopped at ${self.cost:.4f}: another request could take the cost beyond {self.key} (${self.limit:g}); "
            "replies so far are kept: raise it and run again to go on"
        )

    def set_aside(self, dollars: float) -> None:
        """Count `dollars` as spent until `settle` says what became of them."""
        self._reserved += dollars

    async def reserve(self, dollars: float) -> bool:
        """Set `dollars` aside, waiting for requests in flight to turn out cheaper; False if there is no room."""
        while not self.fits(dollars):
            if self._reserved <= 1e-9:  # sums of dollars are not exact
                return False
            await asyncio.sleep(WAIT)
        self.set_aside(dollars)
        return True

    def settle(self, dollars: float, lost: float = 0.0) -> None:
        """End a reservation; `lost` dollars of it may have been billed for replies that never came."""
        self._reserved -= dollars
        self.cost += lost
