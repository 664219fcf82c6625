"""The form of a schedule: it offers the product's own tasks, and refuses arguments that they cannot read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django_celery_beat.models import PeriodicTask
from unfold.widgets import UnfoldAdminSelectWidget

from pipeline import task_names
from pipeline.admin.shared.days import DayField
from pipeline.engine import schedules
from pipeline.keeping.policy import BadPolicy, Policy
from pipeline.models import Trigger

TASKS = {
    task_names.START_SCHEDULED: "start a run",
    task_names.CHECK_UP: "judge readiness, ask the doctor",
    task_names.SWEEP: "recover stalled runs, start missed ones",
    task_names.CHECK_ARCHIVE: "check the archive",
    task_names.PLAN_PRUNING: "plan what may be pruned",
    task_names.REMOVE_PRUNED: "remove what was pruned",
}


if TYPE_CHECKING:
    FormOfSchedule = forms.ModelForm[PeriodicTask]
else:
    FormOfSchedule = forms.ModelForm


class ScheduleForm(FormOfSchedule):
    """Refuses values that beat, or the run that it starts, could not read."""

    class Meta:
        model = PeriodicTask
        exclude = ("exchange", "routing_key", "headers")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("start_time", "expires"):
            if name in self.fields:
                field: Any = self.fields[name]
                field.fields = (DayField(required=False), field.fields[1])
        if "task" in self.fields:
            self.fields["task"] = forms.ChoiceField(
                label="Does",
                choices=self._choices(),
                widget=UnfoldAdminSelectWidget(),
                help_text="What it does at its time",
            )

    def _choices(self) -> list[tuple[str, str]]:
        """The tasks to choose from; a task that was set in another way stays among them."""
        known = [(task, f"{text} ({task})") for task, text in TASKS.items()]
        own = self.instance.task
        return known if not own or own in TASKS else [*known, (own, own)]

    def clean_args(self) -> str:
        """A JSON list."""
        return _json(self.cleaned_data["args"], list, '["one", 2]')

    def clean_kwargs(self) -> str:
        """A JSON object."""
        return _json(self.cleaned_data["kwargs"], dict, '{"lookback_weeks": 6}')

    def clean(self) -> dict[str, Any]:
        """Check a schedule that starts runs: it needs a crontab, and arguments that a run takes."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("expires") and cleaned.get("expire_seconds") is not None:
            self.add_error("expire_seconds", "Give either an end or a number of seconds, not both.")
        if cleaned.get("task") == task_names.START_SCHEDULED and "kwargs" in cleaned:
            self._check_run(cleaned)
        if cleaned.get("task") == task_names.PLAN_PRUNING and "kwargs" in cleaned:
            self._check_policy(cleaned)
        return cleaned

    def _check_policy(self, cleaned: dict[str, Any]) -> None:
        try:
            Policy.read(json.loads(cleaned["kwargs"]))
        except BadPolicy as error:
            self.add_error("kwargs", str(error))

    def _check_run(self, cleaned: dict[str, Any]) -> None:
        if not cleaned.get("crontab"):
            self.add_error("crontab", "Only a crontab says which slot a run is for; choose one, and no interval.")
        row = PeriodicTask(name=cleaned.get("name", ""), kwargs=cleaned["kwargs"])
        try:
            schedules.request_of(row, requested_by="", reason="", trigger=Trigger.ADMIN)
        except schedules.BadSchedule as error:
            self.add_error("kwargs", str(error))


def _json(text: str, kind: type[list[Any]] | type[dict[str, Any]], example: str) -> str:
    """The text, if it is JSON of this kind; for an empty text, the empty JSON."""
    if not text.strip():
        return json.dumps(kind())
    try:
        found = json.loads(text)
    except ValueError as error:
        raise forms.ValidationError(f"This is not JSON: {error}. Write for example {example}") from error
    if not isinstance(found, kind):
        raise forms.ValidationError(f"Write for example {example}")
    return text
