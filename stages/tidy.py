"""Moved to `python -m tools.tidy`."""

if __name__ == "__main__":
    from tools import moved

    moved.run("tidy")
