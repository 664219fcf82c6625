"""`doctor`: the grid, what is wrong, and that the command printed beside it repairs it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from pipeline.finra.calendar import PartitionKey, Tier, is_due, look_back, market_today
from pipeline.management.commands.doctor import LEGEND
from pipeline.models import Anomaly, Capture, Category, Partition, Severity
from pipeline.vintages import archive
from tests.management.calling import Ran, call
from tests.management.publications import (
    DAY,
    NEWER_WEEK,
    OTC,
    ROWS,
    capture_id,
    content,
    publish,
    publish_week,
    restate,
)
from tests.support.engines import Begin, Ledger
from tests.support.ledger_state import is_untouched_by

RUN_DATE = ("--run-date", str(DAY))
FIRST_DUE = [key for week in look_back(1, DAY) for tier in Tier if is_due(key := PartitionKey(week, tier), DAY)]
PATH = archive.path_of(hashlib.sha256(content(OTC)).hexdigest())


def weekly(*arguments: str) -> Ran:
    """Capture the newest week of which all tiers are due, and what is due of newer ones."""
    return call("run_weekly", "--lookback-weeks", 1, *RUN_DATE, *arguments)


def doctor(*arguments: str) -> Ran:
    """Look at the same weeks."""
    return call("doctor", "--lookback-weeks", 1, *RUN_DATE, *arguments)


def findings() -> list[dict[str, str]]:
    """What doctor finds wrong."""
    found = doctor("--json").document["findings"]
    assert isinstance(found, list)
    return found


def run_printed(command: str) -> Ran:
    """Run a command exactly as doctor printed it."""
    python, script, name, *arguments = shlex.split(command)
    assert (python, script) == ("python", "manage.py")
    return call(name, *arguments)


def repair() -> None:
    """Follow doctor: run the first command it prints, and look again. What is captured anew may leave an anomaly."""
    for _ in range(3):
        for found in findings()[:1]:
            run_printed(found["command"])


def all_due(source_dir: Path) -> None:
    for key in FIRST_DUE:
        publish(source_dir, key)
    assert weekly().code == 0


@pytest.fixture
def captured(begin: Begin, source_dir: Path) -> Path:
    """The source folder; what is due of it is captured."""
    begin(all_due)
    return source_dir


def test_a_healthy_ledger_is_shown_and_said_to_be_healthy(captured: Path) -> None:
    ran = doctor()

    assert ran.code == 0
    assert ran.lines == [
        "Weeks:",
        "  week ending  NMS_TIER_1      NMS_TIER_2      OTC             trading               compliance            "
        "research",
        "  2025-12-12   due 2025-12-29  due 2026-01-12  due 2026-01-12  AWAITING_PUBLICATION  AWAITING_PUBLICATION  "
        "AWAITING_PUBLICATION",
        "  2025-12-05   due 2025-12-22  due 2026-01-05  due 2026-01-05  AWAITING_PUBLICATION  AWAITING_PUBLICATION  "
        "AWAITING_PUBLICATION",
        "  2025-11-28   v1 calculated   due 2025-12-29  due 2025-12-29  AWAITING_PUBLICATION  AWAITING_PUBLICATION  "
        "PROVISIONAL",
        "  2025-11-21   v1 calculated   due 2025-12-22  due 2025-12-22  AWAITING_PUBLICATION  AWAITING_PUBLICATION  "
        "PROVISIONAL",
        "  2025-11-14   v1 calculated   v1 calculated   v1 calculated   READY                 READY                 "
        "READY",
        LEGEND,
        "Healthy: everything due is captured, and calculated from its newest captures.",
    ]


def test_it_reads_only(captured: Path) -> None:
    restate(captured, OTC)

    assert is_untouched_by(doctor)


def test_the_document_has_the_grid_the_findings_and_the_readiness(captured: Path) -> None:
    document = doctor("--json").document

    assert list(document) == ["healthy", "cells", "findings", "readiness"]
    assert document["healthy"] is True
    assert document["cells"][6] == {
        "week_ending": "2025-11-28",
        "tier": "NMS_TIER_1",
        "state": "GOOD",
        "stage": "CALC",
        "version": 1,
        "due": "2025-12-15",
        "detail": "first capture: 4 rows",
        "capture_id": "finra.otc_transparency:NMS_TIER_1:2025-11-28:20251215",
    }
    verdicts = [v for v in document["readiness"] if (v["week_ending"], v["use"]) == ("2025-11-28", "research")]
    assert verdicts == [
        {
            "week_ending": "2025-11-28",
            "use": "research",
            "state": "PROVISIONAL",
            "reasons": [
                "2025-11-28 NMS_TIER_2: not yet due, FINRA publishes it on 2025-12-29",
                "2025-11-28 OTC: not yet due, FINRA publishes it on 2025-12-29",
            ],
            "reason_codes": ["NOT_YET_DUE", "NOT_YET_DUE"],
        }
    ]


@pytest.mark.promise(8)
def test_an_empty_ledger_is_repaired_by_the_backfills_printed(ledger: Ledger, source_dir: Path) -> None:
    for key in FIRST_DUE:
        publish(source_dir, key)

    ran = doctor()

    assert ran.code == 1
    assert ran.lines[7:] == [
        "2025-11-28 NMS_TIER_1 MISSING: never tried",
        "2025-11-21 NMS_TIER_1 MISSING: never tried",
        "2025-11-14 NMS_TIER_1 MISSING: never tried",
        "  python manage.py backfill --weeks 2025-11-28,2025-11-21,2025-11-14 --tiers NMS_TIER_1 --run-date 2025-12-15",
        "2025-11-14 NMS_TIER_2 MISSING: never tried",
        "  python manage.py backfill --weeks 2025-11-14 --tiers NMS_TIER_2 --run-date 2025-12-15",
        "2025-11-14 OTC MISSING: never tried",
        "  python manage.py backfill --weeks 2025-11-14 --tiers OTC --run-date 2025-12-15",
    ]
    for found in findings():
        assert run_printed(found["command"]).code == 0
    assert doctor().code == 0


def test_the_weeks_that_one_backfill_mends_are_one_command(ledger: Ledger, source_dir: Path) -> None:
    ran = call("doctor", "--lookback-weeks", 3, *RUN_DATE)

    assert [line for line in ran.lines if "manage.py" in line] == [
        f"  python manage.py backfill --weeks {weeks} --tiers {tier} --run-date 2025-12-15"
        for weeks, tier in (
            ("2025-11-28,2025-11-21,2025-11-14,2025-11-07,2025-10-31", "NMS_TIER_1"),
            ("2025-11-14,2025-11-07,2025-10-31", "NMS_TIER_2"),
            ("2025-11-14,2025-11-07,2025-10-31", "OTC"),
        )
    ]


def test_a_late_partition_is_repaired_once_it_is_there(captured: Path) -> None:
    newer = PartitionKey(NEWER_WEEK, Tier.OTC)
    on_its_day = ("--run-date", "2025-12-29")
    call("run_weekly", "--weeks", NEWER_WEEK, "--tiers", "OTC", *on_its_day)

    (found,) = (
        finding
        for finding in call("doctor", "--lookback-weeks", 1, *on_its_day, "--json").document["findings"]
        if "OTC" in finding["what"]
    )
    assert found["what"] == (
        "2025-11-28 OTC LATE: the source folder has no otc_week_2025-11-28.psv (nor .gz, .zst, .nonats.psv)"
    )
    publish(captured, newer)
    ran = run_printed(found["command"])

    assert ran.lines[3].startswith("2025-11-28 OTC         INGESTED     first capture: 4 rows; finra.")
    again = call("doctor", "--lookback-weeks", 1, *on_its_day, "--json").document["findings"]
    assert not [finding for finding in again if "OTC LATE" in finding["what"]]


def _fail(folder: Path) -> None:
    publish(folder, OTC, b"{}")
    assert weekly().code == 1
    publish(folder, OTC)


def _refuse(folder: Path) -> None:
    publish(folder, OTC, content(OTC, ROWS[:1]))
    assert weekly().code == 1


def _lose_the_payload(_folder: Path) -> None:
    held = Capture.objects.get(capture_id=capture_id(OTC))
    default_storage.delete(archive.path_of(held.payload_sha256))


def _archive_only(folder: Path) -> None:
    restate(folder, OTC)
    assert weekly("--only-stage", "ingest").code == 0


def _leave_uncalculated(folder: Path) -> None:
    restate(folder, OTC)
    weekly("--only-stage", "ingest")
    weekly("--only-stage", "normalize")


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    ("damage", "what", "command"),
    [
        (
            _fail,
            "2025-11-14 OTC FAILED: otc_week_2025-11-14.psv: this is JSON, not a pipe-separated file: '{}'",
            "backfill --weeks 2025-11-14 --tiers OTC",
        ),
        (
            _lose_the_payload,
            f"the payload of finra.otc_transparency:OTC:2025-11-14:20251215 is not in the archive ({PATH})",
            "backfill --weeks 2025-11-14 --tiers OTC",
        ),
        (
            _archive_only,
            "2025-11-14 OTC ARCHIVED: finra.otc_transparency:OTC:2025-11-14:20251215.2 is archived, its rows are not stored",
            "run_weekly --weeks 2025-11-14 --tiers OTC --only-stage normalize",
        ),
        (
            _leave_uncalculated,
            "2025-11-14: the analytics are not computed from the newest captures",
            "run_weekly --weeks 2025-11-14 --only-stage calc",
        ),
    ],
    ids=["failed", "damaged", "archived only", "not calculated"],
)
def test_every_damage_is_named_and_repaired_by_the_commands_printed(
    captured: Path, damage: Callable[[Path], None], what: str, command: str
) -> None:
    damage(captured)

    first = findings()[0]

    assert first == {"what": what, "command": f"python manage.py {command} --run-date 2025-12-15"}
    repair()
    assert findings() == []
    assert doctor().code == 0


def test_a_refused_file_is_never_forced_by_a_command_that_is_printed(captured: Path) -> None:
    _refuse(captured)

    (found,) = findings()

    assert found == {
        "what": "2025-11-14 OTC REFUSED: restates 75% of the 4 rows held, more than the 25% allowed: 0 changed, +0, 3 gone; "
        "check otc_week_2025-11-14.psv; if it is right all the same, force it",
        "command": "python manage.py backfill --weeks 2025-11-14 --tiers OTC --run-date 2025-12-15",
    }
    assert run_printed(found["command"]).code == 1  # the file is what it was
    publish(captured, OTC)
    assert run_printed(found["command"]).code == 0
    assert findings() == []


def test_an_open_anomaly_that_blocks_is_a_finding_until_it_is_resolved(captured: Path) -> None:
    partition = Partition.objects.get(week_ending=OTC.week_ending, tier=OTC.tier)
    anomaly = Anomaly.objects.record(Category.UNRECONCILED, Severity.ERROR, "sums differ", partition=partition)

    (found,) = findings()

    assert found["what"] == f"2025-11-14 OTC: open ERROR anomaly {anomaly.pk}, UNRECONCILED: sums differ"
    assert run_printed(found["command"]).code == 0
    assert findings() == []


def test_the_commands_of_today_carry_no_run_date(ledger: Ledger, source_dir: Path) -> None:
    found = call("doctor", "--lookback-weeks", 1, "--json").document["findings"]
    today = call("doctor", "--lookback-weeks", 1, "--run-date", market_today(), "--json").document["findings"]

    assert len(found) == 3
    assert not [finding for finding in (*found, *today) if "--run-date" in finding["command"]]


def test_how_many_weeks_are_looked_at(captured: Path) -> None:
    publish_week(captured)

    document = call("doctor", "--lookback-weeks", 2, *RUN_DATE, "--json").document

    looked_at = {(cell["week_ending"], cell["tier"]) for cell in document["cells"] if cell["state"] != "NOT_YET_DUE"}
    assert looked_at == {
        ("2025-11-28", "NMS_TIER_1"),
        ("2025-11-21", "NMS_TIER_1"),
        *((week, tier) for week in ("2025-11-14", "2025-11-07") for tier in Tier),
    }
