"""The interface of a transport: a module with two functions."""

from __future__ import annotations

from typing import Protocol

from pipeline.models import Channel
from pipeline.notices.message import Message


class Transport(Protocol):
    """A module that sends to channels of one kind. Neither function uses the database."""

    def place(self, channel: Channel) -> str:
        """Where its messages go, without any secret: a host, or an e-mail address. Lasting where they cannot go."""

    def send(self, channel: Channel, message: Message) -> str:
        """Send a message; the service's id of it, or "". Passing or Lasting when the service does not take it."""
