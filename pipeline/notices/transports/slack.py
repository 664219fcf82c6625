"""Slack, by an incoming webhook: the secret is its address. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""

from __future__ import annotations

from pipeline.models import Channel
from pipeline.notices.addresses import target
from pipeline.notices.http import post
from pipeline.notices.message import Message
from pipeline.notices.secrets import value_of

LONGEST = 3000
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # or a text from outside could name people or links


def place(channel: Channel) -> str:
    """The host of the webhook."""
    return target(value_of(channel.secret)).host


def send(channel: Channel, message: Message) -> str:
    """The subject in bold, the text beneath. Slack names no message that comes by a webhook."""
    address = value_of(channel.secret)
    text = f"*{message.subject.translate(ESCAPES)}*\n{message.text.translate(ESCAPES)}"
    post(target(address), {"text": text[:LONGEST]}, {}, address)
    return ""
