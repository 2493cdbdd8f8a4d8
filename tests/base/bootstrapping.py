"""What the tests of the base share: a small parallel collection, and the base bootstrapped from it."""

import numpy as np

from tests.fakes.checkpoints import WORDS

WORDS_KO = ["가을", "바람", "서울", "도서관", "역사", "과학", "바다", "산길", "음악", "학교"]


def documents(count=24):
    """Passages whose every word is of the passage alone or of a small stock."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        english = " ".join(rng.choice(WORDS, 12))
        korean = " ".join(rng.choice(WORDS_KO, 12))
        texts = {
            "en": (f"Title e{i}", f"Begin e{i} {english}. Then e{i} {english}."),
            "ko": (f"제목 k{i}", f"처음 k{i} {korean}. 다음 k{i} {korean}."),
        }
        made.append((f"p{i:02}", "test" if i % 3 else "train", texts))
    return made


SMALL = {"vocabulary": 300, "dimension": 16, "steps": 6, "batch_size": 32}


def bootstrapped(workspace):
    workspace.edit(**{f"base__static__{k}": v for k, v in SMALL.items()})
    workspace.corpus(documents(), [("q", "p00")])
    workspace.run("base")
    return content(workspace)


def content(workspace):
    """The base's files."""
    folder = workspace.path / "models/base"
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
