"""`python -m tests.fake_finra`: a FINRA of one's own on loopback, to point the product at.

Nothing leaves the machine, and nothing served is FINRA's data unless --real names files of it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from threading import Event

from pipeline.finra.calendar import WEEK, PartitionKey, Tier, last_fridays, market_today
from pipeline.finra.samples import Size
from tests.fake_finra.catalogue import Catalogue
from tests.fake_finra.options import Empty, Options
from tests.fake_finra.origins import Files, Origin, Samples
from tests.fake_finra.restatements import drawn
from tests.fake_finra.server import FinraServer
from tests.fake_finra.service import Service
from tests.fake_finra.tokens import TOKEN_PATH

WEEKS = 60
SEED = 7  # as `simulate_source` has it: what was captured from its files is unchanged here
REAL_FILES = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"  # beside the checkout, where they are


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; exit code 2 for bad arguments or a port that is taken."""
    given = _parser().parse_args(arguments)
    try:
        server = FinraServer(service(given), given.port)
    except OSError as error:
        print(f"cannot listen on port {given.port}: {error}", file=sys.stderr)
        return 2
    stop = Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with server:
        print(_told(server), flush=True)
        stop.wait()
    return 0


def service(given: argparse.Namespace) -> Service:
    """The service that the arguments describe."""
    today = given.date or market_today()
    weeks = last_fridays(given.weeks, today)
    origin: Origin = Samples(given.seed, Size(given.size), tapes=False, marked=True)
    if given.real is not None:
        origin = Files(given.real, origin)
    keys = [PartitionKey(week, tier) for week in weeks for tier in Tier]
    catalogue = Catalogue(weeks, origin, restatements=drawn(keys, given.seed))
    options = Options(
        requests_per_second=given.rate or None,
        empty=Empty(given.empty),
        recent_weeks=given.recent_weeks,
        client_id=given.client_id,
        client_secret=given.client_secret,
        token_seconds=given.token_seconds,
        anonymous=not given.no_anonymous,
    )
    return Service(catalogue, options, today=given.date)


def _told(server: FinraServer) -> str:
    """What is served, how the product is pointed at it, and how it is steered: lines that paste into a shell."""
    published = server.service.catalogue.keys(server.service.today)
    return f"""\
FINRA on {server.service.today}, at {server.url}: {len(published)} partitions published. Ctrl-C stops it.

Point the product at it, in another terminal:
  export MARKETSPINE_DEMO=1 MARKETSPINE_SOURCE=api MARKETSPINE_FINRA_API_URL={server.url}
  export MARKETSPINE_FINRA_TOKEN_URL={server.url}{TOKEN_PATH}
  mkdir -p var/demo && python manage.py migrate && python manage.py run_weekly

Ask it yourself:
  curl -s -H 'Accept: application/json' -H 'Content-Type: application/json' -d '{{"limit": 2}}' \\
    {server.url}/data/group/otcMarket/name/weeklySummary

Steer it: move its date, have it misbehave ({{}} ends that), see what it was asked:
  curl -s -d '{{"date": "{server.service.today + WEEK}"}}' {server.url}/_service/today
  curl -s -d '{{"kind": "status", "status": 503, "times": 3}}' {server.url}/_service/faults
  curl -s {server.url}/_service/log"""


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.fake_finra", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=8765, help="port on 127.0.0.1; 0 takes a free one (%(default)s)")
    add("--seed", type=int, default=SEED, help="what the sample data and the restatements are drawn from (%(default)s)")
    add("--date", type=date.fromisoformat, help="the virtual date, YYYY-MM-DD (default: today, moving with the days)")
    add("--weeks", type=_count, default=WEEKS, help="how many weeks back there is data (%(default)s)")
    add("--size", choices=[size.value for size in Size], default=Size.SMALL.value, help="rows a week (%(default)s)")
    add(
        "--real",
        type=Path,
        metavar="FOLDER",
        default=REAL_FILES if REAL_FILES.is_dir() else None,
        help="serve FINRA's own web files of this folder where it has them (%(default)s)",
    )
    add("--rate", type=int, default=defaults.requests_per_second, help="requests a second; 0: no limit (%(default)s)")
    add("--empty", choices=[e.value for e in Empty], default=defaults.empty.value, help="no rows (%(default)s)")
    add("--recent-weeks", type=_count, default=defaults.recent_weeks, help="window of weeklySummary (%(default)s)")
    add("--client-id", default=defaults.client_id, help="OAuth2 client id (%(default)s)")
    add("--client-secret", default=defaults.client_secret, help="OAuth2 client secret (%(default)s)")
    add("--token-seconds", type=_count, default=defaults.token_seconds, help="life of a token (%(default)s)")
    add("--no-anonymous", action="store_true", help="refuse requests without a token")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
