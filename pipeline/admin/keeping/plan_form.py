"""The form of a prune plan: it stores a plan and shows it, and marks nothing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from pipeline import operations
from pipeline.admin.shared.acting import may, order_of
from pipeline.admin.shared.base import page_url
from pipeline.finra.plain_text import capitalized
from pipeline.keeping.policy import LEAST_DAYS, BadPolicy, Policy
from pipeline.models import Act, PrunePlan

NAME = "pipeline_prune_new"
MOST = 10_000


class PolicyForm(forms.Form):
    """The fields of a policy."""

    older_than = forms.IntegerField(
        label="Superseded for so many days", min_value=LEAST_DAYS, max_value=MOST, initial=730
    )
    keep_last = forms.IntegerField(label="Keep the newest", min_value=1, max_value=MOST, initial=3)
    keep_monthly = forms.IntegerField(label="Keep the last of so many months", min_value=0, max_value=MOST, initial=0)
    keep_yearly = forms.IntegerField(label="Keep the last of so many years", min_value=0, max_value=MOST, initial=0)
    keep_first = forms.BooleanField(label="Keep the first of each partition", required=False, initial=True)
    keep_snapshots = forms.BooleanField(label="Keep what any snapshot was computed from", required=False)
    payloads = forms.BooleanField(label="Prune payloads, too: only a backup has the rows then", required=False)

    def clean(self) -> dict[str, Any]:
        """The fields, with the policy; refused where the policy makes no sense."""
        cleaned = super().clean() or {}
        if not self.errors:
            asked = {name: value for name, value in cleaned.items() if name != "keep_snapshots"}
            try:
                cleaned["policy"] = Policy(**asked, snapshots=not cleaned["keep_snapshots"])
            except BadPolicy as error:
                raise forms.ValidationError(str(error)) from error
        return cleaned


def urls(admin: ModelAdmin[PrunePlan]) -> list[URLPattern]:
    """The form's address, among those of the plans."""

    def view(request: HttpRequest) -> HttpResponse:
        return new_plan(request, admin)

    return [path("new/", admin.admin_site.admin_view(view), name=NAME)]


def new_plan(request: HttpRequest, admin: ModelAdmin[PrunePlan]) -> HttpResponse:
    """The form; when it is sent, the page of its plan."""
    if not may(request, Act.PRUNE_PLAN):
        raise PermissionDenied
    form = PolicyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        plan = operations.plan_pruning(form.cleaned_data["policy"], order_of(request))
        messages.success(request, f"{capitalized(operations.pruning.counted(plan))}.")
        return HttpResponseRedirect(page_url(plan))
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": "Plan what is pruned",
        "form": form,
    }
    return TemplateResponse(request, "pipeline/prune_new.html", context)
