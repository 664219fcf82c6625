"""`manage.py notify`: who is told of what, what waits, and trying it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from pipeline import operations
from pipeline.conditions import look
from pipeline.finra.calendar import CalendarError, Tier, parse_day, parse_instant
from pipeline.finra.plain_text import shortened
from pipeline.management import channel_options
from pipeline.management.base import BadArguments, SpineCommand, failed_if, operator
from pipeline.management.help import add_verb
from pipeline.models import Act, Category, Channel, DeliveryState, Event, Notice, Severity, Silence, data_kinds
from pipeline.notices import channels, outbox, sending
from pipeline.notices.failures import NotAccepted
from pipeline.notices.sending import Sent
from pipeline.notices.transports import registry
from pipeline.operations import Matcher, Order, Refused

MORE = """\
Slack and PagerDuty are known. The host of a webhook of your own has to be named in MARKETSPINE_NOTIFY_HOSTS.
Notices are sent by the workers and by `serve`, each 15 seconds. Without either, cron sends them:
  */5 * * * *  python manage.py notify send
docs/notifications.md has the events, the retries and the fields of a webhook."""
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
SHOWN, SHOWN_OF_A_TEXT = 30, 100


class Command(SpineCommand):
    """Channels, silences, and what is sent."""

    help = (
        "Tell people what happens: e-mail, Slack, PagerDuty, a webhook of your own, or any service of apprise. Exit code: "
        "0 done; 1 done, and something was not accepted or is stuck; 2 could not."
    )
    examples = (
        ("notify add ops --kind slack --secret SLACK_URL --least ERROR", "where SLACK_URL or SLACK_URL_FILE is set"),
        ("notify test ops", "does it arrive?"),
        ("notify silence --event LATE --for 2d --why 'FINRA has a holiday'", "hold notices"),
    )
    more_help = MORE

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The verbs, each with its options."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
        add_verb(verbs, "list", "the channels, what waits for each, what is open, what is silenced")
        channel_options.add(add_verb(verbs, "add", "a new channel"), is_new=True)
        channel_options.add(add_verb(verbs, "change", "what a channel is told, or switch it on or off"), is_new=False)
        test = add_verb(verbs, "test", "send a test to a channel, now and once, whatever its filters")
        test.add_argument("name", help="the channel")
        self._by(test)
        self._add_silence(add_verb(verbs, "silence", "hold notices for a while; what is still so at the end is sent"))
        end = add_verb(verbs, "end-silence", "end a silence before its time")
        end.add_argument("number", type=int, help="its number, as `notify list` prints it")
        self._by(end)
        add_verb(verbs, "send", "look for what is silent or late, and send what is due: what the sweep does")
        again = add_verb(verbs, "resend", "send again what a channel was given up on")
        again.add_argument("name", help="the channel")
        self._by(again)

    def _by(self, parser: CommandParser) -> None:
        parser.add_argument("--by", default=operator(), help="who does it, for the record (default: %(default)s)")

    def _add_silence(self, parser: CommandParser) -> None:
        parser.add_argument("--why", required=True, help="the reason, kept with the silence")
        ends = parser.add_mutually_exclusive_group(required=True)
        ends.add_argument("--for", dest="span", metavar="SPAN", help="how long: 90m, 2h, 3d; 14 days at most")
        ends.add_argument("--until", help="an instant: 2026-01-05T18:00Z")
        parser.add_argument("--event", default="", choices=Event.values, metavar="EVENT", help=", ".join(Event.values))
        parser.add_argument("--tier", default="", choices=[tier.value for tier in Tier], help="of one tier")
        parser.add_argument("--week", help="of one week ending, YYYY-MM-DD")
        parser.add_argument("--category", default="", choices=Category.values, metavar="CATEGORY", help="of anomalies")
        self._by(parser)

    def work(self, **options: Any) -> int:
        """Do what the verb says."""
        verbs = {
            "list": self._list,
            "add": self._add,
            "change": self._change,
            "test": self._test,
            "silence": self._silence,
            "end-silence": self._end_silence,
            "send": self._send,
            "resend": self._resend,
        }
        try:
            return verbs[options["verb"]](options)
        except Refused as error:
            raise BadArguments(str(error)) from error

    def _list(self, _options: dict[str, Any]) -> int:
        now = timezone.now()
        waiting = outbox.facts(now)
        newest = list(Notice.objects.unclosed())
        notices = sorted(newest, key=lambda one: -Severity.values.index(one.severity))[:SHOWN]
        silences = list(Silence.objects.in_force(now))
        if self.as_json:
            self.document(
                {
                    "channels": [
                        channel_options.document(channel, _place(channel)) for channel in Channel.objects.all()
                    ],
                    "pending": waiting.pending,
                    "muted": waiting.muted,
                    "failed": waiting.failed,
                    "oldest_pending_at": waiting.oldest_pending_at,
                    "stuck": waiting.is_stuck(now),
                    "open": [_notice(notice) for notice in notices],
                    "silences": [_silence(silence) for silence in silences],
                }
            )
        self._print_channels(waiting)
        self._print_open(notices)
        for silence in silences:
            self.line(f"Silence {silence.pk}: {silence}, by {silence.by}: {silence.why}")
        if waiting.is_stuck(now):
            self.line(f"Stuck: something is due since {waiting.oldest_pending_at:%Y-%m-%d %H:%M} UTC and is not sent.")
        return failed_if(waiting.is_stuck(now) or waiting.failed > 0)

    def _print_channels(self, waiting: outbox.Outbox) -> None:
        if not waiting.channels:
            self.line(f"There is no channel, and nobody is told: `{data_kinds.manage_py()} notify add --help`.")
            return
        places = {channel.name: _place(channel) for channel in Channel.objects.all()}
        rows = [
            (
                one.name if one.enabled else f"{one.name} (off)",
                one.kind,
                places[one.name],
                one.pending,
                one.muted,
                one.given_up,
                f"{one.last_sent_at:%Y-%m-%d %H:%M}" if one.last_sent_at else "never",
                one.last_error or "-",
            )
            for one in waiting.channels
        ]
        columns = ("channel", "kind", "goes to", "waiting", "held", "given up", "sent last (UTC)", "last error")
        self.table("Channels", columns, rows)

    def _print_open(self, notices: list[Notice]) -> None:
        if not notices:
            self.line("Nothing is open.")
            return
        rows = [
            (one.severity, str(one), f"{one.opened_at:%Y-%m-%d %H:%M}", one.count, shortened(one.what, SHOWN_OF_A_TEXT))
            for one in notices
        ]
        self.table(
            f"Open, the gravest {len(notices)}" if len(notices) == SHOWN else "Open",
            ("severity", "what", "since (UTC)", "seen", "says"),
            rows,
        )

    def _add(self, options: dict[str, Any]) -> int:
        if Channel.objects.filter(name=options["name"]).exists():
            raise BadArguments(
                f"there is a channel {options['name']!r}: `{data_kinds.manage_py()} notify change` changes it"
            )
        channel = Channel(name=options["name"], kind=options["kind"])
        return self._save(channel, options, Act.ADD, "Added")

    def _change(self, options: dict[str, Any]) -> int:
        return self._save(_channel(options["name"]), options, Act.CHANGE, "Changed")

    def _save(self, channel: Channel, options: dict[str, Any], act: Act, verb: str) -> int:
        changes = channel_options.apply(channel, options)
        judged = channels.judge(channel)
        if judged.wrong:
            raise BadArguments("; ".join(f"{name}: {why}" for name, why in judged.wrong.items()))
        channel_options.save(channel, act, Order(operator=options["by"]), f"{verb} {channel}. {changes}")
        if self.as_json:
            self.document({**channel_options.document(channel, _place(channel)), "warnings": judged.warnings})
        goes_to = "" if judged.warnings else f", to {_place(channel)}"
        self.line(f"{verb} {channel}: {channel.get_kind_display()}{goes_to}.")
        for warning in judged.warnings:
            self.warn(f"Not yet: {warning}.")
        self.line(f"Try it: {data_kinds.manage_py()} notify test {channel}")
        return 0

    def _test(self, options: dict[str, Any]) -> int:
        channel = _channel(options["name"])
        try:
            told, taken = operations.test_channel(channel, Order(operator=options["by"])).sentence, True
        except Refused as error:
            told, taken = str(error), False
        if self.as_json:
            self.document({"channel": channel.name, "goes_to": _place(channel), "accepted": taken, "told": told})
        self.line(told)
        return failed_if(not taken)

    def _silence(self, options: dict[str, Any]) -> int:
        matcher = Matcher(
            event=options["event"],
            tier=options["tier"],
            week_ending=parse_day(options["week"], "--week") if options["week"] else None,
            category=options["category"],
        )
        entry = operations.silence(matcher, _until(options), Order(operator=options["by"], reason=options["why"]))
        return self._told(entry.sentence)

    def _end_silence(self, options: dict[str, Any]) -> int:
        silence = Silence.objects.filter(pk=options["number"]).first()
        if silence is None:
            raise BadArguments(f"there is no silence {options['number']}")
        return self._told(operations.end_silence(silence, Order(operator=options["by"])).sentence)

    def _resend(self, options: dict[str, Any]) -> int:
        return self._told(operations.resend(_channel(options["name"]), Order(operator=options["by"])).sentence)

    def _told(self, told: str) -> int:
        if self.as_json:
            self.document({"told": told})
        self.line(told)
        return 0

    def _send(self, _options: dict[str, Any]) -> int:
        look.look_in_turn()
        done = sending.send_all()
        if self.as_json:
            self.document({"messages": [_sent(one) for one in done]})
        for one in done:
            self.line(f"{one.channel}: {one.state.lower()}: {one.subject} ({one.told}, {one.seconds:.1f} s)")
        if not done:
            self.line("Nothing is due.")
        return failed_if(any(one.state != DeliveryState.SENT for one in done))


def _channel(name: str) -> Channel:
    channel = Channel.objects.filter(name=name).first()
    if channel is None:
        known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none"
        raise BadArguments(f"there is no channel {name!r}; known: {known}")
    return channel


def _place(channel: Channel) -> str:
    """Where its messages go, or why they cannot go there now."""
    try:
        return registry.place(channel)
    except NotAccepted as error:
        return f"nowhere yet: {error}"


def _until(options: dict[str, Any]) -> datetime:
    """When a silence ends: BadArguments for what is neither a span nor an instant."""
    if options["until"]:
        try:
            return parse_instant(options["until"]).astimezone(UTC)
        except CalendarError as error:
            raise BadArguments(f"--until: {error}") from error
    number, unit = options["span"][:-1], options["span"][-1:]
    if unit not in UNITS or not number.isascii() or not number.isdecimal() or len(number) > 5:
        raise BadArguments(f"--for {options['span']!r}: write 90m, 2h or 3d")
    return timezone.now() + timedelta(**{UNITS[unit]: int(number)})


def _notice(notice: Notice) -> dict[str, object]:
    names: Iterable[str] = ("event", "place", "severity", "what", "opened_at", "count")
    return {name: getattr(notice, name) for name in names}


def _silence(silence: Silence) -> dict[str, object]:
    names: Iterable[str] = ("event", "tier", "week_ending", "category", "until", "by", "why")
    return {"silence": silence.pk, **{name: getattr(silence, name) for name in names}}


def _sent(sent: Sent) -> dict[str, object]:
    return {
        "channel": sent.channel,
        "subject": sent.subject,
        "state": sent.state,
        "told": sent.told,
        "seconds": round(sent.seconds, 3),
    }
