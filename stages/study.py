"""Moved to `python -m tools.study`."""

if __name__ == "__main__":
    from tools import moved

    moved.run("study")
