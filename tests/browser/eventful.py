"""A ledger in which everything has happened: captured, restated, failed, refused, late, rejected, resolved, pinned."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.utils import timezone

from pipeline import operations
from pipeline.finra import samples
from pipeline.finra.calendar import PartitionKey, Tier, fully_due_weeks, last_fridays, market_today
from pipeline.keeping.policy import Policy
from pipeline.models import Anomaly, ApiToken, Backup, Capture, Drill
from pipeline.operations import Matcher, Order
from tests.management.calling import call
from tests.management.publications import content, publish
from tests.notices import telling
from tests.support.sources_in_memory import psv, row

WEEKS = 3
ERROR_PAGE = b"<!DOCTYPE html><html><body>Service unavailable</body></html>"
SCRIPT = "<script>alert(1)</script>"


def make(folder: Path) -> None:
    """Two runs; between them some files are restated, one is truncated, one gone, one an error page, one hostile."""
    samples.publish(folder, weeks=last_fridays(8, market_today()), seed=7, size=samples.Size.SMALL)
    call("run_weekly", "--lookback-weeks", WEEKS)
    samples.restate(folder, seed=2, share=0.4)
    newest, older, oldest, before = (PartitionKey(week, Tier.OTC) for week in fully_due_weeks(4, market_today()))
    publish(folder, newest, ERROR_PAGE)
    publish(folder, older, content(older))
    for gone in folder.glob(f"otc_week_{oldest.week_ending}*"):
        gone.unlink()
    publish(folder, before, hostile())
    call("run_weekly", "--lookback-weeks", WEEKS)
    call("run_weekly", "--weeks", before.week_ending, "--tiers", Tier.OTC)
    look_into()
    look_after()


def hostile() -> bytes:
    """A publication whose names would run as a script or as a formula if they were let, and one line that is no row."""
    good = [
        row(f"SYM{number:02}", "UBSA", 100 + number, issue=SCRIPT, name=f"={number} {SCRIPT}") for number in range(20)
    ]
    return psv(*good, row("BAD", "UBSA", SCRIPT))


def look_into() -> None:
    """What an operator does with it: entries of his log, of a restated partition and of one without."""
    order = Order(operator="root", reason=f"looked into it {SCRIPT}", token=None)
    operations.resolve(list(Anomaly.objects.order_by("pk")[:1]), order)
    operations.pin(Capture.objects.order_by("-version", "-pk")[0], order)
    robot = User.objects.create_user("robot")
    ApiToken.objects.create(user=robot, name=f"nightly load {SCRIPT}", expiry=timedelta(days=90))


def look_after() -> None:
    """What keeps the data and tells of it: a plan to prune, a backup, a drill that failed, a channel, a silence."""
    order, now = Order(operator="root", reason=f"keeping {SCRIPT}", token=None), timezone.now()
    operations.plan_pruning(Policy(older_than=730), order)
    Backup.objects.create(made_at=now, finished_at=now, place="elsewhere", name="20251215T170000Z")
    Drill.objects.create(
        begun_at=now,
        name="20251215T170000Z",
        place="elsewhere",
        passed=False,
        seconds=1,
        lost_seconds=60,
        report={"seed": 1, "checks": [{"what": f"there is a capture {SCRIPT}", "passed": False}]},
    )
    telling.channel(f"desk {SCRIPT}", kind="email", secret="", address="desk@example.com", enabled=False)
    operations.silence(Matcher(event="LATE"), now + timedelta(hours=2), order)
