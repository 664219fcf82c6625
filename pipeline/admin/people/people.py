"""Users and roles. A user grants only permissions that they have, and changes only users and roles with no others."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import ManyToManyField, Q, QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from pipeline.admin.people.traced import Traced, trace
from pipeline.admin.shared.base import badge, user_of
from pipeline.admin.shared.offered import Offering
from pipeline.models import Act

admin.site.unregister(User)
admin.site.unregister(Group)

NAMED_ROLES = 3


def held_by(user: User) -> QuerySet[Permission]:
    """A user's permissions, directly or by a role, also of one who may not sign in."""
    if user.is_superuser:
        return Permission.objects.all()
    return Permission.objects.filter(Q(user=user) | Q(group__user=user)).distinct()


def beyond(user: User) -> QuerySet[Permission]:
    """The permissions that a user lacks."""
    return Permission.objects.exclude(pk__in=held_by(user).values("pk"))


def outranks(other: User, user: User) -> bool:
    """Whether the other has permissions that the user lacks, and would gain by setting the other's password."""
    if user.is_superuser:
        return False
    return other.is_superuser or held_by(other).filter(pk__in=beyond(user).values("pk")).exists()


def grantable(field: str, user: User) -> QuerySet[Any] | None:
    """The permissions or roles that a user may grant in this field: their own, and roles with no others; None for all."""
    if user.is_superuser:
        return None
    if field == "groups":
        return Group.objects.exclude(permissions__in=beyond(user).values("pk"))
    return held_by(user).select_related("content_type")


@admin.register(User)
class SpineUserAdmin(Traced, Offering, UserAdmin, ModelAdmin):  # type: ignore[misc,type-arg] # the skin has no types
    """The users who may sign in, with their roles."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "name", "roles", "standing", "signed_in")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "signed_in", "joined")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
    )
    list_filter = ("is_active", "is_superuser", "groups")
    list_filter_submit = True
    list_filter_sheet = False
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """The users, with their roles in one query for all."""
        found: QuerySet[User] = super().get_queryset(request).prefetch_related("groups")
        return found

    @admin.display(description="name")
    def name(self, user: User) -> str:
        return user.get_full_name() or "-"

    @admin.display(description="roles")
    def roles(self, user: User) -> SafeString | str:
        if user.is_superuser:
            return "may do everything"
        names = [group.name for group in user.groups.all()]
        return format_html("{}", ", ".join(names)) if names else "none: may see nothing"

    @admin.display(description="state", ordering="is_active")
    def standing(self, user: User) -> SafeString:
        """Whether the user may sign in."""
        if not user.is_active:
            return badge("CANCELLED", "may not sign in")
        return badge("GOOD", "active") if user.is_staff else badge("PROVISIONAL", "not admitted here")

    @admin.display(description="signed in last", ordering="last_login")
    def signed_in(self, user: User) -> str:
        return f"{user.last_login:%Y-%m-%d %H:%M} UTC" if user.last_login else "never"

    @admin.display(description="joined", ordering="date_joined")
    def joined(self, user: User) -> str:
        return f"{user.date_joined:%Y-%m-%d %H:%M} UTC"

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse a change of a user who may do more."""
        return super().has_change_permission(request, obj) and not _is_above(obj, request)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse the removal of a user who may do more."""
        return super().has_delete_permission(request, obj) and not _is_above(obj, request)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only a superuser makes superusers."""
        fields = ("signed_in", "joined")
        return fields if user_of(request).is_superuser else ("is_superuser", *fields)

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        """Offer only roles and permissions that the user may grant."""
        return _of_what_is_had(super().formfield_for_manytomany(db_field, request, **kwargs), db_field.name, request)


@admin.register(Group)
class RoleAdmin(Traced, Offering, GroupAdmin, ModelAdmin):  # type: ignore[misc] # the skin has no types
    """Roles: the permissions of their members."""

    list_display = ("name", "members")
    show_full_result_count = False

    @admin.display(description="members")
    def members(self, role: Group) -> str:
        """Some of the members, and how many more there are."""
        names = [user.username for user in role.user_set.all()]
        more = len(names) - NAMED_ROLES
        return ", ".join(names[:NAMED_ROLES]) + (f" and {more} more" if more > 0 else "") or "nobody"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """The roles, with their members in one query for all."""
        found: QuerySet[Group] = super().get_queryset(request).prefetch_related("user_set")
        return found

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Refuse a change of a role that may do more than the user."""
        return super().has_change_permission(request, obj) and not _gives_more(obj, request)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Refuse the removal of a role that may do more than the user."""
        return super().has_delete_permission(request, obj) and not _gives_more(obj, request)

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        """Offer only permissions that the user may grant."""
        assert request is not None, "the admin's forms are asked for"
        return _of_what_is_had(super().formfield_for_manytomany(db_field, request, **kwargs), db_field.name, request)


def change_own_password(request: HttpRequest) -> HttpResponseBase:
    """Django's page; a changed password is written to the operator log."""
    answer: HttpResponseBase = admin.site.password_change(request)
    if request.method == "POST" and isinstance(answer, HttpResponseRedirect):
        trace(request, Act.CHANGE, [user_of(request)], f"Changed {request.user}. Password: set")
    return answer


def _is_above(other: User | None, request: HttpRequest) -> bool:
    return other is not None and outranks(other, user_of(request))


def _gives_more(role: Group | None, request: HttpRequest) -> bool:
    user = user_of(request)
    if role is None or user.is_superuser:
        return False
    return role.permissions.filter(pk__in=beyond(user).values("pk")).exists()


def _of_what_is_had(
    field: ModelMultipleChoiceField[Any] | None, name: str, request: HttpRequest
) -> ModelMultipleChoiceField[Any] | None:
    """The field of a form, offering only what the user may give away."""
    offered = grantable(name, user_of(request))
    if field is not None and offered is not None:
        field.queryset = offered
    return field
