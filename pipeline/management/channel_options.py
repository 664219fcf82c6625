"""A channel on the command line: its options, what they change, and how it is printed."""

from __future__ import annotations

from datetime import time
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from pipeline.finra.calendar import Tier
from pipeline.management.base import BadArguments, operator
from pipeline.models import Act, Channel, ChannelKind, Digest, Event, Severity, Use
from pipeline.notices import channels
from pipeline.operations import Order, write_down

ALL = "all"
FIELDS = (
    "address",
    "secret",
    "signing_secret",
    "least_severity",
    "events",
    "tiers",
    "uses",
    "least_restated_rows",
    "digest",
    "repeat_hours",
    "quiet",
    "zone",
    "enabled",
)
SHOWN = ("name", "kind", *(name for name in FIELDS if name != "quiet"), "quiet_from", "quiet_until")
STANDING = ("sent", "retried", "failed", "last_sent_at", "last_error", "last_error_at")


def add(parser: CommandParser, *, is_new: bool) -> None:
    """The options of `notify add` and `notify change`: what is not given stays as it is."""
    parser.add_argument("name", help="the channel")
    if is_new:
        parser.add_argument("--kind", required=True, choices=ChannelKind.values, help="how it is reached")
    parser.add_argument("--address", help="of an e-mail channel: one address, or a list's")
    parser.add_argument(
        "--secret", metavar="NAME", help="the environment variable that holds its web address or its key: SLACK_URL"
    )
    parser.add_argument("--signing-secret", metavar="NAME", help="the one that holds the key to sign a webhook with")
    parser.add_argument(
        "--least", dest="least_severity", choices=Severity.values, help="told from this severity on (default: INFO)"
    )
    parser.add_argument("--events", metavar="EVENT,...", help=f"{ALL} (default), or some of {', '.join(Event.values)}")
    parser.add_argument("--tiers", metavar="TIER,...", help=f"{ALL} (default), or some of {', '.join(Tier)}")
    parser.add_argument("--uses", metavar="USE,...", help=f"{ALL}, or some of {', '.join(Use.values)} (trading)")
    parser.add_argument(
        "--restated-rows",
        dest="least_restated_rows",
        type=int,
        metavar="N",
        help="told of so large a restatement (100)",
    )
    parser.add_argument("--digest", choices=Digest.values, help="each at once (default), or all of a time in one")
    parser.add_argument(
        "--repeat-hours", type=int, metavar="N", help="what is critical is said again after so long (24; 0: never)"
    )
    parser.add_argument("--quiet", metavar="HH:MM-HH:MM", help="nothing but what is critical then; `none` ends that")
    parser.add_argument("--zone", help="of quiet hours and digests (America/New_York)")
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument("--on", dest="enabled", action="store_true", default=None, help="switch it on")
    switch.add_argument("--off", dest="enabled", action="store_false", help="switch it off: nothing more is sent")
    parser.add_argument("--by", default=operator(), help="who does it, for the record (default: %(default)s)")


def apply(channel: Channel, options: dict[str, Any]) -> str:
    """Let a channel have what was given; what that changes, for the operator log."""
    told = []
    for name in FIELDS:
        if options[name] is None:
            continue
        told.append(f"{name.replace('_', ' ').capitalize()}: {options[name]}")
        if name == "quiet":
            channel.quiet_from, channel.quiet_until = _hours(options[name])
        elif name in ("events", "tiers", "uses"):
            setattr(channel, name, _words(options[name]))
        else:
            setattr(channel, name, _in_bounds(name, options[name]))
    return "; ".join(told)


@transaction.atomic
def save(channel: Channel, act: Act, order: Order, told: str) -> None:
    """Save it, and write down that it was."""
    channels.save(channel)
    write_down(act, order, [channel], told)


def document(channel: Channel, goes_to: str) -> dict[str, object]:
    """A channel as JSON: the names of its secrets, and never their values."""
    return {**{name: getattr(channel, name) for name in (*SHOWN, *STANDING)}, "goes_to": goes_to}


def _words(text: str) -> list[str]:
    return [] if text == ALL else [word.strip() for word in text.split(",")]


def _in_bounds(name: str, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value <= 32_767:
        raise BadArguments(f"--{name.replace('_', '-')} {value}: a number from 0 to 32767")
    return value


def _hours(text: str) -> tuple[time | None, time | None]:
    if text == "none":
        return None, None
    try:
        first, last = (time.fromisoformat(part) for part in text.split("-"))
    except ValueError:
        raise BadArguments(f"--quiet {text!r}: write 22:00-07:00, or none") from None
    return first, last
