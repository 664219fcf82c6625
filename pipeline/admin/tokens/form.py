"""The form of a new token: its name, its days, and, for a user who keeps those of others, its owner."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import get_digest_token
from knox.settings import CONSTANTS
from unfold.widgets import UnfoldAdminSelectWidget

from pipeline.admin.people.people import outranks
from pipeline.models import ApiToken
from pipeline.models.api_token import LONGEST_DAYS

if TYPE_CHECKING:
    FormOfToken = forms.ModelForm[ApiToken]
else:
    FormOfToken = forms.ModelForm

LASTING = {7: "a week", 30: "30 days", 90: "90 days", 180: "half a year", LONGEST_DAYS: "a year"}


class TokenForm(FormOfToken):
    """Makes the token when it is saved: `made` is its text, which is stored nowhere."""

    days = forms.TypedChoiceField(
        label="Lasts",
        coerce=int,
        initial=90,
        choices=list(LASTING.items()),
        widget=UnfoldAdminSelectWidget(),
        help_text="A token always ends: make a new one before, and revoke the old one when it is not used any more",
    )
    person: User  # the user who fills the form in; the admin sets it
    made = ""

    class Meta:
        model = ApiToken
        fields = ("name", "user")

    def clean_user(self) -> User:
        """The owner, who may do no more than the person who makes the token and could use it."""
        user: User = self.cleaned_data["user"]
        if not user.is_active:
            raise forms.ValidationError(f"{user} may not sign in, and so may no token of theirs")
        if user != self.person and outranks(user, self.person):
            raise forms.ValidationError(
                f"{user} may do more than you: only they, or a superuser, make a token of theirs"
            )
        return user

    def clean(self) -> dict[str, Any]:
        """The fields; refused for a name that the owner has already used."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        user = cleaned.get("user", self.person)
        if ApiToken.objects.filter(user=user, name=cleaned.get("name")).exists():
            self.add_error("name", f"{user} has a token of this name already: revoke it, or take another name")
        return cleaned

    def save(self, commit: bool = True) -> ApiToken:
        """Save the token's digest; its text is in `made`."""
        token: ApiToken = super().save(commit=False)
        token.user = self.cleaned_data.get("user", self.person)
        token.digest, self.made = get_digest_token()
        token.token_key = self.made[: CONSTANTS.TOKEN_KEY_LENGTH]
        token.expiry = timezone.now() + timedelta(days=self.cleaned_data["days"])
        if commit:
            token.save()
        return token
