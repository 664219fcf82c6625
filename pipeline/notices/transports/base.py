"""What a way to a channel is: a module with two functions."""

from __future__ import annotations

from typing import Protocol

from pipeline.models import Channel
from pipeline.notices.message import Message


class Transport(Protocol):
    """A module that reaches channels of one kind. Neither function uses the database."""

    def place(self, channel: Channel) -> str:
        """Where its messages go, without anything secret: a host, or an e-mail address. Lasting where they cannot go."""

    def send(self, channel: Channel, message: Message) -> str:
        """Send a message; what the service calls it, if it says so. Passing or Lasting when it does not take it."""
