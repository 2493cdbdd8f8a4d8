"""Old command lines of tools, `python -m stages.X`: they say the new one, and do what it does."""

import runpy
import sys


def run(name: str) -> None:
    print(f"python -m stages.{name} is now python -m tools.{name}", file=sys.stderr)
    runpy.run_module(f"tools.{name}", run_name="__main__")
