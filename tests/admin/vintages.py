"""What the tests of the admin's pages look at: vintages captured without a run, and people who look."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.test import Client

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey
from pipeline.models import Capture
from pipeline.weeks import analytics
from tests.management.publications import DAY, OTC, ROWS, content
from tests.support.sources_in_memory import MemorySource

RESTATED = (("AAPL", "UBSA", "101.000001", 3), ROWS[1], ROWS[2], ("NEWW", "SGMT", "7.5", 1))
SCRIPT = "<script>alert(1)</script>"


def signed_in(role: str) -> Client:
    """A browser in which somebody of this role (Viewer, Operator, Administrator) has signed in."""
    user = User.objects.create_user(role.lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def captured(
    key: PartitionKey,
    text: bytes,
    firms: bytes | None = None,
    *,
    force: bool = False,
    normalize: bool = True,
    compute: bool = True,
) -> Capture:
    """The capture that these bytes become, an ATS file and perhaps one of other firms; its week is computed."""
    source = MemorySource()
    source.publish(key, text, firms)
    made = ingest.ingest(key, source, Terms(run_date=DAY, force=force, normalize=normalize)).capture
    assert made is not None
    if compute:
        analytics.calculate_week(key.week_ending)
    return Capture.objects.select_related("partition").get(pk=made.pk)


def two_vintages(key: PartitionKey = OTC) -> tuple[Capture, Capture]:
    """A first capture of four rows, and its restatement: one row changed, one added, one removed."""
    first = captured(key, content(key))
    second = captured(key, content(key, RESTATED))
    first.partition.refresh_from_db()
    return first, second
