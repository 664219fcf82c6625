"""The form of a channel: its filters, and the names of its secrets; refused where no message could ever be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms

from pipeline.finra.calendar import Tier
from pipeline.models import Channel, Event, Use
from pipeline.notices import channels

if TYPE_CHECKING:
    FormOfChannel = forms.ModelForm[Channel]
else:
    FormOfChannel = forms.ModelForm

ALL = "none ticked: all"
HELP = {
    "address": "of an e-mail channel: one address, or that of a list",
    "secret": "the name of the environment variable that holds the web address, or the key, as in SLACK_URL; never the "
    "value. The variable, or SLACK_URL_FILE with the path of a file, is set for the web and the workers",
    "signing_secret": "of a webhook: the name of the variable that holds the key its messages are signed with",
    "least_severity": "nothing below this severity is told",
    "least_restated_rows": "no smaller restatement is told: FINRA restates a handful of rows as a matter of course",
    "repeat_hours": "a critical notice that goes on is repeated after so many hours; 0: never",
    "quiet_from": "between these times only critical notices are sent, by the clock of the zone",
    "zone": "of quiet hours and digests",
}


class ChannelForm(FormOfChannel):
    """Checked by `pipeline.notices.channels`, as the command is."""

    events = forms.MultipleChoiceField(
        required=False, choices=Event.choices, widget=forms.CheckboxSelectMultiple, help_text=ALL
    )
    tiers = forms.MultipleChoiceField(
        required=False,
        choices=[(tier.value, tier.value) for tier in Tier],
        widget=forms.CheckboxSelectMultiple,
        help_text=ALL,
    )
    uses = forms.MultipleChoiceField(
        required=False, choices=Use.choices, widget=forms.CheckboxSelectMultiple, help_text=ALL
    )

    class Meta:
        model = Channel
        fields = (
            "name",
            "kind",
            "enabled",
            "address",
            "secret",
            "signing_secret",
            "least_severity",
            "events",
            "tiers",
            "uses",
            "least_restated_rows",
            "digest",
            "repeat_hours",
            "quiet_from",
            "quiet_until",
            "zone",
        )
        help_texts = HELP

    def clean_zone(self) -> str:
        """A time zone that the machine knows."""
        zone = str(self.cleaned_data["zone"])
        if zone not in available_timezones():
            raise forms.ValidationError("There is no such time zone: America/New_York is one.")
        return zone

    def clean(self) -> dict[str, Any]:
        """Refuse a channel that could never send; a secret may be set later."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            changed = {name: cleaned[name] for name in self._meta.fields or () if name in cleaned}
            for name, why in channels.judge(Channel(**changed)).wrong.items():
                self.add_error(name, why)
        return cleaned
