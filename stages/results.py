"""Moved to `python -m tools.results`."""

if __name__ == "__main__":
    from tools import moved

    moved.run("results")
