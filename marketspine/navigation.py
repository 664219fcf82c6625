"""The admin's navigation: its order, its icons, and who sees which page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse, reverse_lazy

Item = dict[str, Any]
ROWS = "pipeline.view_capture"
NEEDED = "needed"  # the permission without which a link is not shown


def _page(title: str, icon: str, model: str, permission: str = "") -> Item:
    """A link of the navigation, shown to users who may view its page."""
    app, _, name = model.rpartition(".")
    needed = permission or f"{app or 'pipeline'}.view_{name}"
    return _link(title, icon, f"admin:{app or 'pipeline'}_{name}_changelist", needed)


def _market(title: str, icon: str, name: str) -> Item:
    """A link to an analyst's page."""
    link = _link(title, icon, name, "pipeline.view_analyticssnapshot")
    # Exact: the first page's path begins all the others'.
    return {**link, "active": lambda request: request.path == reverse(name)}


def _link(title: str, icon: str, name: str, needed: str = "") -> Item:
    return {"title": title, "icon": icon, "link": reverse_lazy(name), NEEDED: needed}


GROUPS: tuple[Item, ...] = (
    {
        "items": [
            _link("Dashboard", "grid_view", "admin:index"),
            _page("Anomalies", "report", "anomaly"),
            _page("Readiness", "verified", "readiness"),
        ]
    },
    {
        "title": "Market",
        "items": [
            _market("Market", "show_chart", "market"),
            _market("Venue", "storefront", "market_venue"),
            _market("Symbol", "sell", "market_symbol"),
            _market("Restatements", "published_with_changes", "market_restatements"),
            _market("Revision profile", "timeline", "market_revisions"),
            _market("Compare", "compare_arrows", "market_compare"),
        ],
    },
    {
        "title": "Evidence",
        "items": [
            _page("Partitions", "calendar_view_week", "partition"),
            _page("Captures", "inventory_2", "capture"),
            _link("Rows", "table_rows", "rows", ROWS),
            _page("Manifests", "fact_check", "manifest"),
            _page("Analytics snapshots", "monitoring", "analyticssnapshot"),
        ],
    },
    {
        "title": "Work",
        "items": [
            _page("Runs", "play_circle", "run"),
            _page("Schedules", "schedule", "django_celery_beat.periodictask"),
            _page("Operator log", "history_edu", "operatorlogentry"),
        ],
    },
    {
        "title": "Telling",
        "items": [
            _page("Notices", "notifications", "notice"),
            _page("Channels", "campaign", "channel"),
            _page("Silences", "notifications_off", "silence"),
        ],
    },
    {
        "title": "Keeping",
        "items": [
            _page("Prune plans", "auto_delete", "pruneplan"),
            _page("Backups", "save", "backup"),
            _page("Restore drills", "restore", "drill"),
        ],
    },
    {
        "title": "People",
        "items": [
            _page("Users", "person", "auth.user"),
            _page("Roles", "group", "auth.group"),
            _page("API tokens", "key", "apitoken", ROWS),
            _link("API", "api", "api_docs", ROWS),
        ],
    },
)


def navigation(request: HttpRequest) -> list[Item]:
    """The groups of links that a user may follow.

    Permissions are asked here: unfold makes a class for each that it asks itself, which takes a page 40 ms.
    """
    shown = ({**group, "items": [_shown(item) for item in group["items"] if _may(request, item)]} for group in GROUPS)
    return [group for group in shown if group["items"]]


def _may(request: HttpRequest, item: Item) -> bool:
    return not item[NEEDED] or request.user.has_perm(item[NEEDED])


def _shown(item: Item) -> Item:
    return {name: value for name, value in item.items() if name != NEEDED}
