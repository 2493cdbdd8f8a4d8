"""How long things take, as people say it."""


def duration(seconds: float) -> str:
    """Seconds as people say them: `43 s`, `12 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
