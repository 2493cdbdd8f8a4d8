"""Sealed folders: whatever happens to any of their files is seen, and which it is."""

import pytest

from stages.shared import seals

DAMAGES = {
    "emptied": lambda file: file.write_bytes(b""),
    "cut in half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "a bit flipped": lambda file: file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:]),
    "removed": lambda file: file.unlink(),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("a.bin", "inner/b.bin"):
        (tmp_path / name).write_bytes(name.encode())
    seals.seal(tmp_path)
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["a.bin", "inner/b.bin", seals.SEAL])
def test_whatever_happens_to_a_file_is_seen(folder, name, damage):
    assert seals.broken(folder) is None
    damage(folder / name)
    # Of a flipped bit in the seal it cannot be told whether the seal is wrong or the file.
    assert seals.broken(folder) in ({name} if name != seals.SEAL else {seals.SEAL, "a.bin"})


def test_a_file_that_came_later_is_seen(folder):
    (folder / "c.bin").touch()
    assert seals.broken(folder) == "c.bin"


def test_a_folder_without_a_seal_is_not_whole(tmp_path):
    assert seals.broken(tmp_path) == seals.SEAL
    (tmp_path / seals.SEAL).write_text("[]")
    assert seals.broken(tmp_path) == seals.SEAL
