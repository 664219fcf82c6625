"""A page takes only the parameters that it offers: any other is refused with 400.

Django's lists take any lookup on their own fields, `__regex` among them, and one such address keeps a process busy for
ever. Here a list takes the parameters of its filters, and a page those that PAGES names for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_FACETS_VAR, IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.views.main import ALL_VAR, ORDER_VAR, SEARCH_VAR
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import ResolverMatch
from django.utils.text import smart_split

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList
else:
    from unfold.views import ChangeList

LONGEST_SEARCH, MOST_WORDS = 200, 10  # each word is looked for in each searched column of each row
ORDER = re.compile(r"(-?\d{1,2}(\.-?\d{1,2})*)?", re.ASCII)
ID = re.compile(r"\d{1,18}", re.ASCII)
RANGE = ("first", "last", "tiers", "only", "reason")
ROWS = ("symbol", "issue", "venue", "week", "tier", "as_of", "capture", "sort", "before")
PAGES: dict[str, tuple[str, ...]] = {
    "login": ("next",),
    "rows": (*ROWS, "after"),
    "rows_csv": ROWS,
    "rows_parquet": ROWS,
    "market": ("week_ending", "tier", "venue_kind", "min_share", "weeks", "as_of", "vintage"),
    "market_venue": ("mpid", "crd", "venue_name", "tier", "weeks", "as_of", "vintage"),
    "market_symbol": ("symbol", "weeks", "week_ending", "venue_kind", "against", "as_of", "vintage"),
    "market_restatements": ("from_day", "to_day", "tier", "cause", "min_effect", "symbols"),
    "market_revisions": ("measure", "tier", "venue_kind"),
    "market_compare": ("week_ending", "tier", "a", "other_week", "b"),
    "market_search": ("q",),
    "pipeline_backfill": RANGE,
    "pipeline_capture_change": ("verify",),
    "pipeline_capture_difference": ("with", "kind", "page"),
    "pipeline_capture_difference_csv": ("with",),
    "pipeline_capture_difference_parquet": ("with",),
    "pipeline_capture_rejects": ("page",),
    "pipeline_pruneplan_change": ("page",),
    "pipeline_run_change": ("page",),
    "pipeline_run_live": ("page",),
    "pipeline_analyticssnapshot_change": ("scope", "kind", "page"),
    "pipeline_analyticssnapshot_symbols": ("scope", "kind", "symbol", "page"),
    "pipeline_analyticssnapshot_symbols_csv": ("scope", "kind", "symbol"),
    "pipeline_analyticssnapshot_symbols_parquet": ("scope", "kind", "symbol"),
}
OF_ONE_OBJECT = ("_changelist_filters",)  # the filters of the list to go back to
POPS_UP = (IS_POPUP_VAR, TO_FIELD_VAR)  # of a form that opens from another form's field
EDITED = ("auth_", "django_celery_beat_")


class OfferedList(ChangeList):
    """A list that takes the parameters of its filters, a search of a bounded length, and an order of its columns."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        _refuse_nul(chain.from_iterable((name, *values) for name, values in request.GET.lists()))
        _check_search(request.GET.get(SEARCH_VAR, ""))
        super().__init__(request, *args, **kwargs)

    def get_filters(self, request: HttpRequest) -> Any:
        """The filters, which have taken their parameters; any other that no link of ours has is refused."""
        if IS_FACETS_VAR in self.params or (SEARCH_VAR in self.params and not self.search_fields):
            raise BadRequest("this list offers neither counts nor a search")
        if self.params.get(ALL_VAR):
            raise BadRequest(f"{ALL_VAR} takes no value")
        found, admin = super().get_filters(request), cast(Offering, self.model_admin)
        _refuse(set(found[2]).difference(admin.linked, self._filtered()))
        return found

    def get_results(self, request: HttpRequest) -> None:
        """A list of all there is offers no way to show all."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count

    def _filtered(self) -> Iterable[str]:
        """The fields of the filters: `tier=OTC` means the same as the filter's own `tier__exact=OTC`."""
        named = (one[0] if isinstance(one, tuple) else one for one in self.list_filter)
        return (name for name in named if isinstance(name, str))

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Each column at most once: a database sorts by a bounded number of terms."""
        order = self.params.get(ORDER_VAR, "")
        columns = [column.lstrip("-") for column in order.split(".")]
        if not ORDER.fullmatch(order) or len(set(columns)) < len(columns):
            raise BadRequest(f"{ORDER_VAR} is a list of columns, each once: 2.-1")
        return super().get_ordering(request, queryset)


class Offering:
    """An admin whose list is an OfferedList. `linked` are the lookups that links of other pages use."""

    show_facets = ShowFacets.NEVER
    linked: tuple[str, ...] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[OfferedList]:
        """The list that refuses other parameters."""
        return OfferedList

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *more: Any, **named: Any) -> Any:
        """Run an action of the list on the selected ids; refuse a value that is no id."""
        if not all(ID.fullmatch(one) for one in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("an object is named by a number")
        return super().response_action(request, queryset, *more, **named)  # type: ignore[misc] # of the admin that this is mixed into


class OfferedOnly:
    """Middleware: refuses parameters that no form, link or button of ours sends, before a view or a database sees them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _body_length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BadRequest(f"a body of more than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes is not read")
        _refuse_nul(request.COOKIES.values())
        return self.get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _args: Any, _kwargs: Any) -> None:
        """Check the parameters of a page; a list checks its own."""
        match = request.resolver_match
        assert match is not None, "a view is found by its address"
        name = match.url_name or ""
        if "admin" not in match.app_names and name not in PAGES:
            return
        try:
            posted = request.POST.getlist(TO_FIELD_VAR)
        except UnreadablePostError as error:
            raise BadRequest("the body did not arrive") from error
        for field in (*request.GET.getlist(TO_FIELD_VAR), *posted):
            if not field.isidentifier():
                raise BadRequest(f"{TO_FIELD_VAR} is the name of a field")
        if not name.endswith("_changelist"):
            _refuse(set(request.GET).difference(_offered(match)))


def _offered(match: ResolverMatch) -> tuple[str, ...]:
    name = match.url_name or ""
    own = PAGES.get(name, ())
    if name.endswith("_history"):
        own = ("p",)
    of_one = OF_ONE_OBJECT if match.kwargs or name.endswith("_add") else ()
    return (*own, *of_one, *(POPS_UP if name.startswith(EDITED) else ()))


def _refuse(parameters: Iterable[str]) -> None:
    if unknown := sorted(parameters):
        raise BadRequest(f"this page does not know {', '.join(unknown)[:LONGEST_SEARCH]}")


def _check_search(text: str) -> None:
    if len(text) > LONGEST_SEARCH or len(list(smart_split(text))) > MOST_WORDS:
        raise BadRequest(f"a search has at most {LONGEST_SEARCH} letters and {MOST_WORDS} words")


def _body_length(request: HttpRequest) -> int:
    """The length that the client announces; a body without it is not read at all."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() and length.isascii() and len(length) < 20 else 0


def _refuse_nul(texts: Iterable[str]) -> None:
    """Refuse NUL characters, which PostgreSQL neither stores nor compares."""
    if any("\0" in text for text in texts):
        raise BadRequest("no text has a NUL character")
