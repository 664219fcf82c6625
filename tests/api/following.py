"""Following a feed as a poller does, which keeps one integer and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pipeline.models import Capture
from tests.api.asking import Script, member, token_of

YEARS = timedelta(days=5000)


class Follower:
    """Asks for what is behind the last position that it has seen; `seen` is all that it ever got."""

    def __init__(self, page: int = 1000, path: str = "restatements") -> None:
        self.path = path
        self.script = Script(token_of(member(name="follower"), lasts=YEARS))
        self.page = page
        self.position = 0
        self.seen: list[dict[str, Any]] = []

    def poll(self) -> int:
        """What is new, page by page; how many entries that was."""
        before = len(self.seen)
        while True:
            found = self.script.json(self.path, after=self.position, limit=self.page)
            self.seen += found["data"]
            self.position = int(found["links"]["next"].partition("after=")[2].partition("&")[0])
            if not found["meta"]["has_more"]:
                return len(self.seen) - before

    def check(self) -> None:
        """Each further capture of the ledger was told once, in the order of their positions, with its own figures."""
        captures = Capture.objects.filter(position__isnull=False, version__gt=1).order_by("position")
        told = [(one["position"], one["capture_id"], one["rows_added"], one["rows_removed"]) for one in self.seen]
        assert told == [(one.position, one.capture_id, one.rows_added, one.rows_removed) for one in captures]
