"""check: all of `params.yaml` is read, and every mistake and contradiction in it told, before anything is built.

What it writes is the same whenever the file is right, and the first stages depend on it: a mistake anywhere stops them,
and a change of a value reaches those alone that read it.
"""

import logging
from pathlib import Path

from stages.check import params
from stages.settings.reading import PARAMS
from stages.shared import errors, tables

log = logging.getLogger("check")
OUT = Path("data/checked")


def main() -> None:
    params.load()
    tables.write_text(f"{PARAMS} is right\n", OUT)
    log.info(f"{PARAMS} is right")


if __name__ == "__main__":
    errors.run(main)
