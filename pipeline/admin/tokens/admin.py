"""API tokens: users who may read have tokens of their own; an Administrator keeps those of others, too."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pipeline.admin.people.people import outranks
from pipeline.admin.people.traced import Traced
from pipeline.admin.shared.base import Framed, badge, user_of
from pipeline.admin.tokens.form import TokenForm
from pipeline.models import ApiToken

KEEPING = "pipeline.can_keep_tokens"
READING = "pipeline.view_capture"


@admin.register(ApiToken)
class TokenAdmin(Traced, Framed[ApiToken]):
    """A token is made, shown once, and revoked by deleting it; it is never changed."""

    form = TokenForm
    list_display = ("name", "user", "begins_with", "standing", "used", "made")
    list_display_links = ("name",)
    list_select_related = ("user",)
    readonly_fields = ("begins_with", "standing", "used", "made")
    search_fields = ("name", "user__username")
    search_help_text = "The name of a token or of its user"
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """All tokens for a user who keeps those of others, else the user's own."""
        found: QuerySet[ApiToken] = super().get_queryset(request)
        return found if _keeps(request) else found.filter(user=user_of(request))

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        """The fields of the form of a new token, or of the page of an existing one."""
        if obj is not None:
            return ("name", "user", *self.readonly_fields)
        return ("name", "user", "days") if _keeps(request) else ("name", "days")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        """All fields of an existing token."""
        return () if obj is None else ("name", "user", *self.readonly_fields)

    def get_form(self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **more: Any) -> Any:
        """The form, with the user who fills it in."""
        form = super().get_form(request, obj, change, **more)
        return type(form.__name__, (form,), {"person": user_of(request)})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The user's own token, unless another user is chosen."""
        return {"user": user_of(request).pk}

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token in the reply itself, which must not be cached, and in no redirect or cookie."""
        context = {**self.frame(request, f"Token {obj.name}"), "token": obj, "made": cast(Any, obj).made}
        return TemplateResponse(request, "pipeline/token_made.html", context)

    def save_form(self, request: HttpRequest, form: Form, change: bool) -> ApiToken:
        """The unsaved token, with its text for the one page that shows it."""
        token: Any = super().save_form(request, form, change)
        token.made = cast(TokenForm, form).made
        return cast(ApiToken, token)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Users who may read may have tokens."""
        return request.user.has_perm(READING)

    def has_view_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """A user's own tokens; all of them for a user who keeps those of others."""
        if obj is None:
            return _keeps(request) or request.user.has_perm(READING)
        return _keeps(request) or obj.user_id == request.user.pk

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Tokens are never changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Revoke one's own tokens; a user who keeps tokens also those of users who may do no more."""
        if obj is None or obj.user_id == request.user.pk:
            return self.has_view_permission(request)
        return _keeps(request) and not outranks(obj.user, user_of(request))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the list is shown."""
        return self.has_view_permission(request)

    @admin.display(description="begins with")
    def begins_with(self, token: ApiToken) -> SafeString:
        """The beginning of the token, by which it is found in a script."""
        return format_html('<code class="ms-mono">{}…</code>', token.token_key)

    @admin.display(description="valid", ordering="expiry")
    def standing(self, token: ApiToken) -> SafeString:
        """Until when it is valid; or that it has expired, or that its user may not sign in."""
        if not token.user.is_active:
            return badge("CANCELLED", "its user may not sign in")
        if token.is_expired:
            return badge("CANCELLED", f"expired {token.expiry:%Y-%m-%d}")
        return badge("GOOD", f"until {token.expiry:%Y-%m-%d}")

    @admin.display(description="used last", ordering="last_used_at")
    def used(self, token: ApiToken) -> str:
        """The last use, to the minute."""
        return f"{token.last_used_at:%Y-%m-%d %H:%M} UTC" if token.last_used_at else "never"

    @admin.display(description="made", ordering="created")
    def made(self, token: ApiToken) -> str:
        return f"{token.created:%Y-%m-%d %H:%M} UTC"


def _keeps(request: HttpRequest) -> bool:
    return request.user.has_perm(KEEPING)
