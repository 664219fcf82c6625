"""A token: what a script shows in place of a password. It reads with the rights of its user, until its last day."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone
from knox.models import AbstractAuthToken
from knox.settings import CONSTANTS

LONGEST_DAYS = 366
USE_NOTED_EVERY = timedelta(minutes=1)  # a reader may ask ten times a second, and each note is a write


class ApiToken(AbstractAuthToken):  # type: ignore[misc] # knox has no types
    """One token of a user: its name, when it expires, when it was last used. The token itself is stored nowhere.

    `digest` is the SHA-512 of the whole token, by which it is found; `token_key` its first 15 characters, by which people
    tell tokens apart. knox keeps tokens by their digest, which no address and no log should show: here they have a number.
    """

    digest = models.CharField(max_length=CONSTANTS.DIGEST_LENGTH, unique=True)
    name = models.CharField(max_length=100, help_text="what it is for: the script or the machine that will use it")
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)
        verbose_name = "API token"
        default_permissions = ()
        permissions = (("can_keep_tokens", "Can keep the API tokens of others"),)
        constraints = (
            models.UniqueConstraint("user", "name", name="token_name_unique_of_a_user"),
            models.CheckConstraint(condition=Q(expiry__isnull=False), name="token_expires"),
        )

    def __str__(self) -> str:
        return f"token {self.name} of {self.user}"

    @property
    def is_expired(self) -> bool:
        """Whether it has expired."""
        expiry: datetime = self.expiry
        return expiry <= timezone.now()

    def note_use(self) -> None:
        """Note that it was used now, once a minute at most."""
        now = timezone.now()
        if self.last_used_at is None or self.last_used_at <= now - USE_NOTED_EVERY:
            type(self)._default_manager.filter(pk=self.pk).update(last_used_at=now)
