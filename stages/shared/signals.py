"""Signals before a stage has begun: it imports next to nothing, so that it is there first."""

import os
import signal
from types import FrameType

AGAIN = "run the same command again to go on"


def end_at_once() -> None:
    """End on Ctrl-C and SIGTERM with their line, while imports take their seconds and nothing can be lost."""
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        # What is ignored, as for jobs in the background, stays so.
        if signal.getsignal(number) is default:
            signal.signal(number, end)


def end(number: int, _: FrameType | None) -> None:
    # Raised instead, it would be lost in libraries that are half imported.
    os.write(2, f"{stopped(number == signal.SIGTERM)}\n".encode())
    os._exit(1)


def stopped(terminated: bool) -> str:
    return f"error: {'stopped by SIGTERM' if terminated else 'interrupted'}; {AGAIN}"
