"""Whether a channel makes sense, asked by the admin's form and by the command before they save one; and saving it."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import available_timezones

from django.utils import timezone

from marketspine.environment import is_set
from pipeline.finra.calendar import Tier
from pipeline.models import Channel, ChannelKind, Event, Use
from pipeline.notices.failures import Lasting, NotAccepted
from pipeline.notices.routing import route
from pipeline.notices.secrets import check_name
from pipeline.notices.transports import registry

NEEDS_ADDRESS = "an e-mail channel has an address, and names no secret"
NEEDS_SECRET = "name the environment variable that holds its address or key, such as SLACK_URL"  # noqa: S105 # no secret


@dataclass(slots=True)
class Judged:
    """The faults of a channel, by the name of the field, and warnings of what will only hurt later."""

    wrong: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def save(channel: Channel) -> None:
    """Save a channel. What waits for a first one is due from now on, not since it happened."""
    channel.save()
    route(timezone.now())


def judge(channel: Channel) -> Judged:
    """Judge a channel before it is saved. Its target is judged as far as this process knows the secret."""
    judged = Judged()
    _judge_target(channel, judged)
    for name, known in (("events", Event.values), ("tiers", list(Tier)), ("uses", Use.values)):
        if unknown := [one for one in getattr(channel, name) if one not in known]:
            judged.wrong[name] = f"{unknown[0]!r} is none of {', '.join(known)}"
    if channel.zone not in available_timezones():
        judged.wrong["zone"] = f"{channel.zone!r} is no time zone: America/New_York is one"
    if (channel.quiet_from is None) != (channel.quiet_until is None):
        judged.wrong["quiet_until"] = "quiet hours have a beginning and an end, or neither"
    if not judged.wrong:
        _try_place(channel, judged)
    return judged


def _judge_target(channel: Channel, judged: Judged) -> None:
    if channel.kind == ChannelKind.EMAIL:
        if not channel.address or channel.secret:
            judged.wrong["address"] = NEEDS_ADDRESS
        return
    if channel.address:
        judged.wrong["address"] = "only an e-mail channel has an address"
    if channel.signing_secret and channel.kind != ChannelKind.WEBHOOK:
        judged.wrong["signing_secret"] = "only a webhook's messages are signed"  # noqa: S105
    if not channel.secret:
        judged.wrong["secret"] = NEEDS_SECRET
    for name in ("secret", "signing_secret"):
        try:
            if value := getattr(channel, name):
                check_name(value)
        except Lasting as error:
            judged.wrong[name] = str(error)


def _try_place(channel: Channel, judged: Judged) -> None:
    """A bad target is refused. A secret that is not set here is a warning: it may be set where messages are sent."""
    try:
        registry.place(channel)
    except NotAccepted as error:
        has_secret = channel.kind != ChannelKind.EMAIL and is_set(channel.secret)
        if has_secret:
            judged.wrong["secret"] = str(error)
        else:
            judged.warnings.append(str(error))
