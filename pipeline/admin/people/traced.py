"""Changes in Django's own forms (schedules, users, roles) are written to the operator log as well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.forms import Form
from django.http import HttpRequest

from pipeline.admin.shared.acting import order_of
from pipeline.models import Act
from pipeline.operations import write_down

SECRET = "password"  # noqa: S105 # a part of the names of fields whose values are not told


class Traced:
    """An admin whose forms write to the operator log, in the transaction of their change."""

    def construct_change_message(self, _request: HttpRequest, form: Form, _formsets: Any, _add: bool = False) -> Any:
        """The changes as a sentence, each with the value before and after."""
        return "; ".join(_changes(form))

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Write that it was added, with the values of its form."""
        trace(request, Act.ADD, [obj], f"Added {obj}. {message}")
        return super().log_addition(request, obj, message)  # type: ignore[misc] # of the admin that this is mixed into

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Write the changes; a form that was sent unchanged writes none."""
        if message:
            trace(request, Act.CHANGE, [obj], f"Changed {obj}. {message}")
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """Delete it, and write that, with the objects that go with it."""
        with transaction.atomic():
            _trace_deletion(request, [obj])
            super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """Delete the objects ticked in the list, and write that."""
        with transaction.atomic():
            _trace_deletion(request, list(queryset))
            super().delete_queryset(request, queryset)  # type: ignore[misc]


def trace(request: HttpRequest, act: Act, subjects: Iterable[models.Model], sentence: str) -> None:
    """Write the entry of an act that was just done."""
    write_down(act, order_of(request), subjects, sentence.strip())


def _trace_deletion(request: HttpRequest, gone: list[Any]) -> None:
    sentence = ", ".join(str(one) for one in (*gone, *(other for one in gone for other in _dependent(one))))
    trace(request, Act.DELETE, gone, f"Deleted {sentence}.")


def _dependent(gone: models.Model) -> list[models.Model]:
    """The schedules that are deleted with their crontab, interval or other time."""
    schedules: Any = getattr(gone, "periodictask_set", None)
    return list(schedules.all()) if schedules is not None else []


def _changes(form: Form) -> Iterable[str]:
    """`Enabled: yes, now no` for each changed field; of a password only that it was changed."""
    changed = [name for name in form.changed_data if SECRET not in name]
    if len(changed) < len(form.changed_data):
        yield "Password: set"
    for name in changed:
        label = form[name].label
        if isinstance(after := form.cleaned_data.get(name), models.QuerySet):
            yield f"{label}: {_members(form.initial.get(name) or [], after)}"
        else:
            yield f"{label}: {_shown(form, name, form.initial.get(name))}, now {_shown(form, name, after)}"


def _members(before: Iterable[Any], after: Iterable[Any]) -> str:
    """The members that were added and those that were removed."""
    was, now = {str(one) for one in before}, {str(one) for one in after}
    changes = (("given", now - was), ("taken", was - now))
    return ", ".join(f"{verb} {', '.join(sorted(names))}" for verb, names in changes if names)


def _shown(form: Form, name: str, value: Any) -> str:
    """A value of a field: a choice by its label, an empty one as none."""
    choices: Any = getattr(form.fields[name], "queryset", None)
    if choices is not None and value not in ("", None):
        value = choices.filter(pk=getattr(value, "pk", value)).first()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in ("", None) else str(value)
