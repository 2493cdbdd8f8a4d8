"""What people run beside the graph: `python -m tools.X`. No stage depends on any of it."""

import sys

# As for stages.
if sys.argv[:1] == ["-m"]:
    from stages.shared import signals

    signals.end_at_once()
    from stages.shared import errors

    errors.say_faults()
