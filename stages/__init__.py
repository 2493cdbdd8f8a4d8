"""The stages of the graph: the stage `X` of `dvc.yaml` is `python -m stages.X`. Stages never import each other."""

import sys

# So it is while Python looks for what `-m` names, before any other import: a signal needs its line from here on.
if sys.argv[:1] == ["-m"]:
    from stages.shared import signals

    signals.end_at_once()
    from stages.shared import errors

    errors.say_faults()
