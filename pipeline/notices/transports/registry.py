"""The transport of each kind of channel."""

from __future__ import annotations

from pipeline.models import Channel, ChannelKind
from pipeline.notices.transports import apprise, email, pagerduty, slack, webhook
from pipeline.notices.transports.base import Transport

TRANSPORTS: dict[str, Transport] = {
    ChannelKind.EMAIL: email,
    ChannelKind.SLACK: slack,
    ChannelKind.PAGERDUTY: pagerduty,
    ChannelKind.WEBHOOK: webhook,
    ChannelKind.APPRISE: apprise,
}


def transport_of(channel: Channel) -> Transport:
    """The transport of a channel."""
    return TRANSPORTS[channel.kind]


def place(channel: Channel) -> str:
    """Where a channel's messages go, for a person: the host or the address. NotAccepted where they cannot go now."""
    return transport_of(channel).place(channel)
