"""Files as a fault leaves them."""


def damage(file, kind):
    """Cut the file in half, turn bits of it, or leave nothing of it."""
    whole = bytearray(file.read_bytes())
    if kind == "bits":
        whole[4:40] = bytes(byte ^ 0x5A for byte in whole[4:40])
    file.write_bytes({"cut": whole[: len(whole) // 2], "bits": whole, "empty": b""}[kind])
