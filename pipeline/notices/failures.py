"""The failures of sending a message: those that may pass, and those that last."""

from __future__ import annotations


class NotAccepted(Exception):
    """A service did not take a message. The text names its host, and no secret."""


class Passing(NotAccepted):
    """Another try may help. `after` is how long the service asks to wait, in seconds; None when it says nothing."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Lasting(NotAccepted):
    """Another try helps only after somebody has changed the channel, its secret, or the service."""
