"""How much something has written: bytes and files of the storage, rows of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.apps import apps


@dataclass(frozen=True, slots=True)
class Written:
    """What there is, or what has come since."""

    size: int
    files: int
    ledger_rows: int

    def since(self, before: Written) -> Written:
        """What has come."""
        return Written(self.size - before.size, self.files - before.files, self.ledger_rows - before.ledger_rows)

    def __str__(self) -> str:
        return f"{self.size:,} bytes in {self.files} files and {self.ledger_rows:,} rows of the ledger"


def now(storage: Path) -> Written:
    """What is in the storage and in the ledger's tables, those between two models among them."""
    sizes = [path.stat().st_size for path in storage.rglob("*") if path.is_file()]
    models = apps.get_app_config("pipeline").get_models(include_auto_created=True)
    return Written(sum(sizes), len(sizes), sum(model._default_manager.count() for model in models))
