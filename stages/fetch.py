"""fetch: files of a data set of the hub, as a folder of plain files that other stages name.

What is downloaded is kept outside DVC's outputs until all of it is there, so that a killed download goes on where it
stopped.
"""

import hashlib
import logging
import os
import shutil
from pathlib import Path

import httpx2
from huggingface_hub import HfApi
from huggingface_hub import errors as hub
from huggingface_hub.utils import filter_repo_objects

from stages.settings.fetch import Fetch, read_fetch
from stages.shared import errors, member, tables
from stages.shared.errors import UserError, first_line
from stages.shared.state import STATE

log = logging.getLogger("fetch")
OUT = Path("data/fetch")
PARTIAL = STATE / "fetch"


def main() -> None:
    name = member.name("fetch")
    wanted = read_fetch(name)
    # Other settings begin anew: files of an earlier revision, or that no pattern names any longer, are no part of this.
    digest = hashlib.blake2b(wanted.model_dump_json().encode(), digest_size=8).hexdigest()
    part = PARTIAL / name / digest
    files = download(name, wanted, part)
    with tables.replacing(OUT / name) as draft:
        for file in files:
            (draft / file).parent.mkdir(parents=True, exist_ok=True)
            _place(part / file, draft / file)
    shutil.rmtree(PARTIAL / name)
    size = sum((OUT / name / file).stat().st_size for file in files)
    log.info(f"{name}: {len(files):,} files of {wanted.repo}, {size / 1e6:,.1f} MB")


def download(name: str, wanted: Fetch, folder: Path) -> list[str]:
    """Complete `folder` with the repository's files that match the patterns; their paths beneath it, sorted.

    Raises `UserError` if the hub cannot be reached or has no such repository, revision or file. Only the token in
    HF_TOKEN is sent.
    """
    token = os.environ.get("HF_TOKEN") or False
    api = HfApi(token=token)
    where = f"fetch.{name}"
    try:
        # One look at the hub pins what a branch means for the whole download.
        info = api.dataset_info(wanted.repo, revision=wanted.revision)
        names = sorted(file.rfilename for file in info.siblings or ())
        files = list(filter_repo_objects(names, allow_patterns=wanted.files))
        if outside := [file for file in files if Path(file).is_absolute() or ".." in Path(file).parts]:
            raise UserError(f"{where}.repo: {wanted.repo} has files outside of its folder ({_shown(outside)})")
        if not files:
            raise UserError(
                f"{where}.files: {wanted.repo} has no file {' or '.join(wanted.files)} (it has {_shown(names)}): "
                "change the patterns"
            )
        api.snapshot_download(
            wanted.repo, repo_type="dataset", revision=info.sha, allow_patterns=wanted.files, local_dir=folder
        )
    except hub.GatedRepoError:
        raise UserError(
            f"{where}.repo: {wanted.repo} asks for its terms to be accepted: do so on its page, and set HF_TOKEN to a "
            "token of that account"
        ) from None
    except hub.RepositoryNotFoundError:
        raise UserError(
            f"{where}.repo: the hub has no data set {wanted.repo}, or none that you may read: mend the name, or set "
            "HF_TOKEN"
        ) from None
    except hub.RevisionNotFoundError:
        raise UserError(f"{where}.revision: {wanted.repo} has no {wanted.revision}: name one of its commits") from None
    except hub.OfflineModeIsEnabled:
        raise UserError(f"{where} needs the network: unset HF_HUB_OFFLINE") from None
    except (httpx2.HTTPError, OSError) as error:
        raise UserError(f"{where} cannot be downloaded now ({first_line(error)}): {_AGAIN}") from None
    # Where the connection is lost, snapshot_download takes what is there for all there is.
    lacking = [file for file in files if not (folder / file).is_file()]
    if lacking:
        raise UserError(f"{where} is not whole, it lacks {_shown(lacking)}: {_AGAIN}")
    return files


_AGAIN = "run it again, and what is there already is kept"


def _shown(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "") or "none at all"


def _place(file: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no such thing."""
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, target)


if __name__ == "__main__":
    errors.run(main)
