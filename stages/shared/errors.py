"""Bad input: one clear sentence, exit code 1, no traceback."""

import errno
import logging
import os
import sys
from collections.abc import Callable

from stages.shared import terminal


class UserError(Exception):
    """Something the user can mend; the message is one sentence that names the place and the mend."""


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`, turning a `UserError` into its sentence and exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for chatty in ("transformers", "sentence_transformers", "openai", "httpx2", "httpcore2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "5")  # a log file needs no bar a tenth of a second
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        with terminal.escaped():
            main()
    except UserError as error:
        sys.exit(f"error: {terminal.printable(str(error))}")
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        sys.exit(f"error: {terminal.printable(str(error.filename))[:60]}... is too long for a file's name: shorten it")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; run the same command again to go on")
