"""The tests, which know nothing of who runs them: this is read before all else."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Nothing of the user's: no configuration of Git, DVC, the hub and pip, but an identity, which DVC's experiments want.
HOME = Path(tempfile.mkdtemp(prefix="isogloss-home-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
(HOME / ".gitconfig").write_text("[user]\n\tname = Tests\n\temail = tests@example.org\n")
for name in [n for n in os.environ if n.startswith(("DVC_", "GIT_", "HF_", "PIP_", "XDG_"))]:
    del os.environ[name]
os.environ |= {
    "HOME": str(HOME),
    "GIT_CONFIG_NOSYSTEM": "1",
    "DVC_SYSTEM_CONFIG_DIR": str(HOME),
    "DVC_SITE_CACHE_DIR": str(HOME),
    "DVC_NO_ANALYTICS": "1",
    "PIP_CONFIG_FILE": os.devnull,
}
