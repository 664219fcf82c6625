"""Buttons and list actions: POST only, guarded, answered with a sentence, and the same form never acts twice.

An admin declares the actions on its objects in `doings`. These make the actions of its list, the buttons of an object's
page, and the page that asks for a reason, where one is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.forms import ActionForm

from pipeline.admin.shared.base import EvidenceAdmin, Framed, M, page_url
from pipeline.finra.plain_text import capitalized
from pipeline.models import Act, ActOutcome, OperatorLogEntry
from pipeline.operations import Order, Refused, new_token

PERMISSIONS = {
    Act.REINGEST: "pipeline.can_run",
    Act.FORCE_REINGEST: "pipeline.can_force",
    Act.RENORMALIZE: "pipeline.can_run",
    Act.RECOMPUTE: "pipeline.can_run",
    Act.REEVALUATE: "pipeline.can_run",
    Act.RETRY_FAILED: "pipeline.can_run",
    Act.RESUME_RUN: "pipeline.can_run",
    Act.CANCEL_RUN: "pipeline.can_cancel",
    Act.BACKFILL: "pipeline.can_run",
    Act.RUN_NOW: "pipeline.can_run",
    Act.RESOLVE: "pipeline.can_resolve",
    Act.REOPEN: "pipeline.can_resolve",
    Act.PIN: "pipeline.can_pin",
    Act.UNPIN: "pipeline.can_pin",
    Act.SILENCE: "pipeline.can_notify",
    Act.END_SILENCE: "pipeline.can_notify",
    Act.TEST_CHANNEL: "pipeline.can_notify",
    Act.RESEND: "pipeline.can_notify",
    Act.ANNUL: "pipeline.can_force",
    Act.PRUNE_PLAN: "pipeline.can_prune",
    Act.PRUNE_MARK: "pipeline.can_prune",
    Act.PRUNE_UNDO: "pipeline.can_prune",
}
TOKEN = re.compile(r"[\w-]{1,36}", re.ASCII)
LONGEST_REASON = 2000
MOST_AT_ONCE = 500


def may(request: HttpRequest, act: Act) -> bool:
    """Whether the user may carry out this act."""
    return request.user.has_perm(PERMISSIONS[act])


@dataclass(frozen=True)
class ObjectAction(Generic[M]):
    """An action on objects of an admin.

    `work` carries it out for an order; `fits` says for which objects the button makes sense; `explained` says, on the page
    that asks for the reason, what will happen. With `in_list`, it is an action of the list as well.
    """

    act: Act
    work: Callable[[list[M], Order], OperatorLogEntry]
    icon: str
    needs_reason: bool = False
    fits: Callable[[M], bool] = lambda _one: True
    explained: str = ""
    in_list: bool = True
    tone: str = ""

    @property
    def slug(self) -> str:
        """Its part of an address: `force-reingest`."""
        return self.act.lower().replace("_", "-")

    @property
    def name(self) -> str:
        """The text of the button."""
        return capitalized(Act(self.act).label)


@dataclass(frozen=True, slots=True)
class Button:
    """A button for an action on one object's page, with its address. An action that needs a reason asks for it first."""

    name: str
    icon: str
    url: str
    needs_reason: bool
    tone: str


class TokenActionForm(ActionForm):  # type: ignore[misc] # the skin has no types
    """The list's action form, with the token by which the same form acts once."""

    token = forms.CharField(label="", required=False, widget=forms.HiddenInput, initial=new_token)


class ReasonForm(forms.Form):
    """The field for the reason."""

    reason = forms.CharField(
        label="Reason", max_length=LONGEST_REASON, strip=True, widget=forms.Textarea(attrs={"rows": 4})
    )


class Acting(Framed[M]):
    """An admin with actions on its objects: in its list, and as buttons."""

    object_actions: Sequence[ObjectAction[M]] = ()
    action_form = TokenActionForm

    def get_urls(self) -> list[URLPattern]:
        """An address for each action on one object, before Django's own."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        acting = [
            path(
                f"<path:object_id>/do/{doing.slug}/",
                self.admin_site.admin_view(partial(self.do_one, doing=doing)),
                name=f"{name}_{doing.act.lower()}",
            )
            for doing in self.object_actions
        ]
        return [*acting, *super().get_urls()]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The list's actions that the user may carry out. Deleting is none of them."""
        return {
            doing.slug: (partial(_do_selected, doing=doing), doing.slug, doing.name)
            for doing in self.object_actions
            if doing.in_list and may(request, doing.act)
        }

    def buttons(self, request: HttpRequest, found: M) -> Iterator[Button]:
        """The actions that fit the object and that the user may carry out."""
        for doing in self.object_actions:
            if may(request, doing.act) and doing.fits(found):
                name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{doing.act.lower()}"
                url = reverse(name, args=[found.pk])
                yield Button(doing.name, doing.icon, url, doing.needs_reason, doing.tone)

    def frame_of(self, request: HttpRequest, found: M) -> dict[str, Any]:
        """The buttons, and the token of this page."""
        return {"buttons": list(self.buttons(request, found)), "token": new_token()}

    def do_one(self, request: HttpRequest, object_id: str, doing: ObjectAction[M]) -> HttpResponse:
        """Carry an action out on one object, or ask for the reason first."""
        if not may(request, doing.act):
            raise PermissionDenied
        found = self.find(request, object_id)
        if request.method == "POST" and (not doing.needs_reason or "reason" in request.POST):
            return self._done(request, doing, [found], page_url(found))
        if not doing.needs_reason:
            return HttpResponseNotAllowed(["POST"])
        return self.ask(request, doing, [found], page_url(found))

    def do_many(self, request: HttpRequest, selected: QuerySet[M], doing: ObjectAction[M]) -> HttpResponse:
        """Carry an action out on the objects selected in the list, or ask for the reason first."""
        if not may(request, doing.act):
            raise PermissionDenied
        chosen = list(selected[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            messages.error(request, f"More than {MOST_AT_ONCE} are selected: narrow the list first.")
            return HttpResponseRedirect(request.get_full_path())
        if doing.needs_reason and "reason" not in request.POST:
            return self.ask(request, doing, chosen, request.get_full_path())
        return self._done(request, doing, chosen, request.get_full_path())

    def ask(
        self, request: HttpRequest, doing: ObjectAction[M], chosen: list[M], back: str, form: ReasonForm | None = None
    ) -> HttpResponse:
        """The page that lists the objects concerned, and asks for the reason."""
        context = {
            **self.frame(request, doing.name),
            "doing": doing,
            "chosen": chosen,
            "form": form or ReasonForm(),
            "back": back,
            "token": request.POST.get("token") or new_token(),
            "selected_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "pipeline/ask.html", context)

    def _done(self, request: HttpRequest, doing: ObjectAction[M], chosen: list[M], back: str) -> HttpResponse:
        """Carry it out, tell the result, and go to the page that shows it."""
        form = ReasonForm(request.POST)
        if doing.needs_reason and not form.is_valid():
            return self.ask(request, doing, chosen, back, form)
        order = order_of(request)
        return carried_out(request, lambda: doing.work(chosen, order), back)


class FormAdmin(Acting[M]):
    """Objects that are edited in a form, beside which their page shows buttons and what they did."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The form; that of an existing object with its buttons, and `beside`."""
        found = self.get_object(request, unquote(object_id)) if object_id else None
        context = {**self.frame_of(request, found), **self.beside(found)} if found else {}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def beside(self, found: M) -> dict[str, Any]:
        """The template's context beside the form of an object."""
        return {}


class ActingAdmin(Acting[M], EvidenceAdmin[M]):
    """Evidence on which operators act."""

    def page(self, request: HttpRequest, found: M) -> dict[str, Any]:
        """The buttons; an admin adds what its page shows."""
        return self.frame_of(request, found)


def _do_selected(admin: Acting[M], request: HttpRequest, selected: QuerySet[M], doing: ObjectAction[M]) -> HttpResponse:
    return admin.do_many(request, selected, doing)


def order_of(request: HttpRequest) -> Order:
    """The user's order: name, reason, token of the form. Characters that a database would refuse are left out."""
    token = request.POST.get("token", "")
    return Order(
        operator=request.user.get_username(),
        account=request.user.pk,
        reason=request.POST.get("reason", "").replace("\0", "")[:LONGEST_REASON],
        token=token if TOKEN.fullmatch(token) else None,
    )


def carried_out(request: HttpRequest, work: Callable[[], OperatorLogEntry], back: str = "") -> HttpResponse:
    """Do the work; tell its result, or why it was refused; go to `back`, or else to the run that it started."""
    try:
        entry = work()
    except Refused as refusal:
        messages.error(request, f"Refused: {refusal}")
        return HttpResponseRedirect(back or request.get_full_path())
    if entry.outcome == ActOutcome.STARTED and entry.run:
        watch = format_html(
            '{} <a class="ms-link" href="{}">Watch run {}</a>', entry.sentence, page_url(entry.run), entry.run_id
        )
        messages.success(request, watch)
    else:
        messages.success(request, entry.sentence)
    return HttpResponseRedirect(back or (page_url(entry.run) if entry.run else request.get_full_path()))


def one(work: Callable[[M, Order], OperatorLogEntry]) -> Callable[[list[M], Order], OperatorLogEntry]:
    """Work on one object, in the form that an ObjectAction takes."""

    def with_one(chosen: list[M], order: Order) -> OperatorLogEntry:
        if len(chosen) != 1:
            raise Http404
        return work(chosen[0], order)

    return with_one
