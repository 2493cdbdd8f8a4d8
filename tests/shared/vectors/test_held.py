"""Where vectors are held: in memory, or in a mapped file of which nothing is left."""

import numpy as np
import pytest

from stages.shared.vectors import held
from stages.shared.vectors.held import Holder


class Lengths:
    def encode(self, texts, role):
        return np.array([[len(text), 1] for text in texts], np.float32).reshape(-1, 2)


@pytest.mark.parametrize("memory", [1.0, 1e-9])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_vectors_are_the_same_wherever_they_are(tmp_path, monkeypatch, memory, precision):
    monkeypatch.setattr(held, "STATE", tmp_path)
    monkeypatch.setattr(held, "HELD_AT_ONCE", 3)
    holder = Holder(memory, precision)
    vectors = holder.passages(Lengths(), ["a" * n for n in range(8)])
    assert isinstance(vectors, np.memmap) == (memory < 1) and vectors.dtype == precision
    assert vectors[:, 0].tolist() == list(range(8))
    own = holder.taken(vectors, np.array([7, 0, 5, 2, 2]))
    assert isinstance(own, np.memmap) == (memory < 1) and own[:, 0].tolist() == [7, 0, 5, 2, 2]
    assert list(tmp_path.iterdir()) == []
