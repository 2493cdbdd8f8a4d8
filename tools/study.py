"""python -m tools.study NAME [NAME ...] [--queue KEY=A,B ...]: apply the overlay studies/NAME.yaml to params.yaml.

What an overlay may say: tools/overlay.py. Of several, each is applied to what the ones before it have made. Comments
stay; `git checkout params.yaml` returns.

With --queue, each combination of the values is a DVC experiment, to be run by `python -m tools.queued`; values are
written as for `dvc exp run -S`.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from stages.check import params
from stages.settings import yaml12
from stages.settings.reading import PARAMS
from stages.shared import errors, tables
from stages.shared.errors import UserError
from tools import disk, lock, overlay, sweep
from tools.git import git


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.study")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--queue", nargs="+", default=[], metavar="KEY=A,B", help="queue an experiment for each value")
    arguments = parser.parse_args()
    # make hands over all settings as one text; blanks within quotes are a value's own.
    settings = [s for text in arguments.queue for s in re.findall(r"""(?:'[^']*'|"[^"]*"|\S)+""", text)]
    overlays = [overlay.read(name) for name in arguments.names or [None]]
    text = committed = _committed()
    changes: dict[str, tuple[Any, Any]] = {}
    for file, wanted in overlays:
        text, changed = overlay.merged(text, wanted)
        study = params.validate(yaml12.parse(text), file)
        # From what is committed to what the last one says.
        changes |= {key: (changes.get(key, (old, new))[0], new) for key, (old, new) in changed.items()}
    if PARAMS.read_text(encoding="utf-8") not in (committed, text):
        raise UserError(
            "params.yaml has edits that are not committed: commit them, or drop them with `git checkout params.yaml`"
        )
    asked = sweep.combinations(text, settings) if settings else None
    if asked:
        sweep.check_identity()
    lock.mend()
    tables.write_text(text, PARAMS)
    for key, (old, new) in changes.items():
        print(f"{key}: {old} -> {new}")
    print(f"{len(changes)} keys changed; `git checkout params.yaml` returns to the default study")
    if asked:
        print("\n".join(disk.said(study, len(asked.runs))))
        sweep.queue(settings, asked.beside)
        print(f"{len(asked.runs)} experiments queued. To run them, and to set the finished ones side by side:")
        print("  python -m tools.queued\n  python -m tools.experiments")


def _committed() -> str:
    """params.yaml as it is committed."""
    text = git("show", f"HEAD:./{PARAMS}")
    if text is None:
        raise UserError("params.yaml is not in Git, so the way back would be lost: run in a clone of the repository")
    return text


if __name__ == "__main__":
    errors.run(main)
