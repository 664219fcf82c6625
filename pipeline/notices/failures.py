"""Why a message was not accepted: in a way that may pass, or for good."""

from __future__ import annotations


class NotAccepted(Exception):
    """A service did not take a message. The text names its host, and no secret."""


class Passing(NotAccepted):
    """Another try may help. `after` is how long the service asks to wait, in seconds; None when it says nothing."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Lasting(NotAccepted):
    """No other try helps until somebody changes the channel, its secret, or the service."""
