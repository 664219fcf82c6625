"""Commands whose reader goes away, or which are read line by line: `manage.py ... | head`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.models import Run, RunStatus
from tests.management.calling import PATIENCE, call, start
from tests.management.publications import DAY, OTC, WEEK, capture_id, content, publish, publish_week
from tests.support.engines import Ledger

RUN = ("run_weekly", "--weeks", str(WEEK), "--run-date", str(DAY))


def ended_unread(ledger: Ledger, *words: str) -> tuple[int, str]:
    """Start a command and close the pipe before it prints; its exit code and what it complained of."""
    process = start(ledger, "manage.py", *words)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    return process.wait(PATIENCE), complaint


@pytest.mark.promise(8)
def test_a_run_nobody_reads_ends_with_its_true_code(ledger: Ledger, source_dir: Path, archive_dir: Path) -> None:
    archive_dir.mkdir()  # that one is named and missing would be complained of
    publish_week(source_dir)
    assert ended_unread(ledger, *RUN) == (0, "")
    assert Run.objects.get().status == RunStatus.SUCCEEDED

    (source_dir / "otc_week_2025-11-14.psv").write_bytes(b"")
    assert ended_unread(ledger, *RUN) == (1, "")


def test_a_listing_nobody_reads_ends_quietly(ledger: Ledger, source_dir: Path) -> None:
    for count in (900, 2):
        rows = tuple((f"S{number}", "UBSA", "1", 1) for number in range(count))
        publish(source_dir, OTC, content(OTC, rows))
        call(*RUN, "--tiers", "OTC", "--force")

    assert ended_unread(ledger, "diff_captures", capture_id(OTC), capture_id(OTC, 2), "--format", "csv") == (0, "")
    assert ended_unread(ledger, "show_capture", capture_id(OTC)) == (0, "")
