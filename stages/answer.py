"""Moved to `python -m tools.answer`."""

if __name__ == "__main__":
    from tools import moved

    moved.run("answer")
