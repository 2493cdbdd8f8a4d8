"""python -m tools.publish REPO [--dry-run] [--private]: push models/chosen to a hub.

All that would be sent is listed with its size. It is sent only from a commit whose files are as committed, on which the
gate was run and passed, and whose models/chosen is the one that dvc.lock names. With the model go params.yaml and, in
the card, the commit: there and not in models/chosen, whose bytes are then those of equal params, whatever the commit.
Only the token in HF_TOKEN is sent; HF_ENDPOINT names another hub. Files that the hub has and the model has not stay.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from stages.schemas.chosen import CHOSEN_FOLDER
from stages.settings.reading import PARAMS
from stages.shared import errors
from stages.shared.errors import UserError, first_line
from tools import gate, lock, revisions
from tools.git import git

FROM = "\n## Built from\n\nCommit `{commit}` of the study's repository, with `{params}` as it is here.\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__.split("\n\n")[0])
    parser.add_argument("repo", metavar="REPO", help="on the hub, e.g. someone/model")
    parser.add_argument("--dry-run", action="store_true", help="list what would be sent, and send nothing")
    parser.add_argument("--private", action="store_true", help="make the repository a private one, if it is new")
    arguments = parser.parse_args()
    lock.mend()
    commit = revisions.head()
    if commit is None:
        raise UserError("there is no commit here: commit the study, so that it can be told what the model is")
    sent = files(commit)
    for name, content in sent.items():
        print(f"{_size(content):>12,}  {name}")
    print(f"{sum(map(_size, sent.values())):>12,}  bytes in {len(sent)} files to {arguments.repo}")
    refuse_unproven(commit)
    if arguments.dry_run:
        print("nothing was sent (--dry-run)")
    else:
        print(send(arguments.repo, sent, commit, arguments.private))


def files(commit: str) -> dict[str, Path | bytes]:
    """What is sent, by the names on the hub, sorted; raises `UserError` if there is no model."""
    if not (CHOSEN_FOLDER / "modules.json").is_file():
        raise UserError(f"{CHOSEN_FOLDER} holds no model: run `dvc repro chosen`")
    found: dict[str, Path | bytes] = {
        file.relative_to(CHOSEN_FOLDER).as_posix(): file for file in CHOSEN_FOLDER.rglob("*") if file.is_file()
    }
    card = (CHOSEN_FOLDER / "README.md").read_bytes()
    found |= {"README.md": card + FROM.format(commit=commit, params=PARAMS).encode(), str(PARAMS): PARAMS}
    return dict(sorted(found.items()))


def refuse_unproven(commit: str) -> None:
    """Raise `UserError` unless models/chosen is that of `commit`, and the gate let it pass."""
    if git("status", "--porcelain", "--untracked-files=no"):
        raise UserError("the workspace is not as committed, so no commit tells what the model is: commit first")
    found = gate.verdict(commit)
    if found is None:
        raise UserError(f"the gate was not run on {commit[:7]}: run `python -m tools.gate --against main`")
    if not found["passed"]:
        raise UserError(f"the gate failed on {commit[:7]} against {found['against']}: nothing is published")
    from dvc.repo import Repo

    if Repo().status(targets=["chosen"], with_deps=True):
        raise UserError(
            f"{CHOSEN_FOLDER} is not what dvc.lock names, or what it is made of has changed: run `dvc repro`"
        )


def send(repo: str, sent: dict[str, Path | bytes], commit: str, private: bool) -> str:
    """The address of the commit on the hub, of all files at once; raises `UserError` if the hub refuses them."""
    import httpx2
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub import errors as hub

    token = os.environ.get("HF_TOKEN")
    if not token:
        raise UserError("HF_TOKEN is not set: set it to a token that may write")
    api = HfApi(token=token)
    operations = [CommitOperationAdd(name, content) for name, content in sent.items()]
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)
        return str(api.create_commit(repo, operations, commit_message=f"Isogloss at {commit}").commit_url)
    except hub.OfflineModeIsEnabled:
        raise UserError("publishing needs the network: unset HF_HUB_OFFLINE") from None
    except (hub.HfHubHTTPError, hub.HFValidationError, httpx2.HTTPError, OSError) as error:
        raise UserError(f"{repo} cannot be published now ({first_line(error)}): mend that, and run it again") from None


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


if __name__ == "__main__":
    errors.run(main)
