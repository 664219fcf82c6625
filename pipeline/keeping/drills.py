"""A drill: a backup is restored into a scratch database and folder, and a process of its own proves the result.

The product's own data is not touched: the settings of the proving process name the scratch database and folder.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from marketspine.addresses import database
from pipeline.keeping import databases, postgresql
from pipeline.keeping.manifest import Manifest
from pipeline.keeping.proof import Proved
from pipeline.keeping.repository import Repository
from pipeline.models import Drill

SAID = 2000
OWN = (
    "DATABASE_URL",
    "MARKETSPINE_DEMO",  # a demo lives in var/demo only, and the drill does not
    "MARKETSPINE_ARCHIVE_DIR",
    "MARKETSPINE_STORAGE_URL",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
)


class CannotDrill(Exception):
    """No drill can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class _Restored:
    """The result of a drill: how many seconds the restoration took, and what was proved of the restored ledger."""

    seconds: float
    proofs: list[Proved]


def drill(folder: Path, name: str = "", into: str = "", seed: int | None = None) -> Drill:
    """Restore a backup, by default the newest, prove it, and note the result.

    `into` is the address of a database; the drill uses its server, by default that of the settings. NoBackup,
    CannotDrill, ToolFailed.
    """
    held, begun = Repository(folder), timezone.now()
    found, drawn = held.read(name), secrets.randbelow(10**9) if seed is None else seed
    entry = database(into, "--into") if into else dict(connection.settings_dict)
    if found.engine != databases.engine_of(entry):
        raise CannotDrill(f"{found.name} is of {found.engine}: name a database of that kind with --into")
    if found.engine == databases.POSTGRESQL:
        postgresql.require(postgresql.RESTORE, databases.major_of(found.server), "the backup's server")
    restored = _restored(held, found, entry, drawn)
    return Drill.objects.create(
        begun_at=begun,
        name=found.name,
        place=str(folder),
        passed=all(one.passed for one in restored.proofs),
        seconds=restored.seconds,
        lost_seconds=(begun - found.made_at).total_seconds(),
        report={"seed": drawn, "checks": [one.stored() for one in restored.proofs]},
    )


def _restored(held: Repository, found: Manifest, entry: Mapping[str, Any], seed: int) -> _Restored:
    """Restore in a folder beside the backups, where files can be linked and take no room."""
    with tempfile.TemporaryDirectory(prefix="drill-", dir=held.folder) as name:
        folder, begun = Path(name), timezone.now()
        with databases.scratch(entry, folder) as scratch:
            databases.put_back(held.database_of(found), scratch)
            held.lay_out(found, folder / "archive")
            seconds = (timezone.now() - begun).total_seconds()
            proofs = _proved_elsewhere(databases.address_of(scratch), folder, held.manifest_path(found), seed)
    return _Restored(seconds, proofs)


def _proved_elsewhere(address: str, folder: Path, of: Path, seed: int) -> list[Proved]:
    """The proofs by a process whose settings name the restored database and archive."""
    words = [sys.executable, "manage.py", "backup", "prove", str(of), "--seed", str(seed), "--json"]
    hidden = {*OWN, *(f"{variable}_FILE" for variable in OWN)}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"DATABASE_URL": address, "MARKETSPINE_ARCHIVE_DIR": str(folder / "archive")}
    done = subprocess.run(  # noqa: S603 - this product itself
        words, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    try:
        return [Proved(one["what"], one["passed"]) for one in json.loads(done.stdout)["checks"]]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr or done.stdout).strip()[-SAID:]
        return [Proved(f"the restored ledger can be read: {said}", passed=False)]
