"""Whether this machine lets a test have containers without a runtime: mount namespaces, and root to make them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys

TRIED = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]


@functools.cache
def no_containers() -> str:
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return "a root that is only read needs root, on Linux"
    if any(shutil.which(program) is None for program in ("unshare", "nsenter", "setpriv", "chroot")):
        return "util-linux is not installed"
    tried = subprocess.run(TRIED, capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this machine allows no mount namespaces"
