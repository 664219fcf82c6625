"""How much is tried: a representative part with every test run, all of it with FAULTS=all (`make test-faults`)."""

from __future__ import annotations

import os
import secrets

EVERYTHING = os.environ.get("FAULTS", "") == "all"

# What is drawn by chance is drawn from it. A test prints it, and the same number draws the same again.
SEED = os.environ.get("FAULT_SEED", "") or str(secrets.randbelow(10**9))
