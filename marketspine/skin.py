"""The admin's skin: django-unfold's settings, with the order and the icons of the navigation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy


def _style(name: str) -> Any:
    return lambda _request: static(f"pipeline/{name}")


def _page(title: str, icon: str, model: str, permission: str = "") -> dict[str, object]:
    """A link of the navigation, shown to users who may view its page."""
    app, _, name = model.rpartition(".")
    needed = permission or f"{app or 'pipeline'}.view_{name}"
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app or 'pipeline'}_{name}_changelist"),
        "permission": lambda request: _may(request, needed),
    }


def _market(title: str, icon: str, name: str) -> dict[str, object]:
    """A link to an analyst's page."""
    needed = "pipeline.view_analyticssnapshot"
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(name),
        "active": lambda request: request.path == reverse(name),  # exact: the first page's path begins all the others'
        "permission": lambda request: _may(request, needed),
    }


def _may(request: HttpRequest, permission: str) -> bool:
    return request.user.has_perm(permission)


SKIN: dict[str, Any] = {
    "SITE_TITLE": "Market Spine",
    "SITE_HEADER": "Market Spine",
    "SITE_SUBHEADER": "Every vintage is kept",
    "SITE_SYMBOL": "stacked_bar_chart",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _style("icon.svg")}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "LOGIN": {"form": "marketspine.signing_in.SignInForm"},
    "DASHBOARD_CALLBACK": "pipeline.admin.dashboard.index.dashboard",
    "STYLES": [_style("spine.css")],
    "SCRIPTS": [_style("spine.js"), _style("reachable.js")],
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .013 236.6)",
            "100": "oklch(93.9% .026 236.8)",
            "200": "oklch(88.5% .05 236.6)",
            "300": "oklch(80.6% .085 236.4)",
            "400": "oklch(70.5% .115 238.1)",
            "500": "oklch(58.8% .125 241.97)",
            "600": "oklch(49.5% .115 242.75)",
            "700": "oklch(42.8% .1 242.8)",
            "800": "oklch(37.5% .085 241.0)",
            "900": "oklch(32% .07 240.9)",
            "950": "oklch(24% .055 243.2)",
        }
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": "Dashboard", "icon": "grid_view", "link": reverse_lazy("admin:index")},
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
                    {
                        "title": "Rows",
                        "icon": "table_rows",
                        "link": reverse_lazy("rows"),
                        "permission": lambda request: _may(request, "pipeline.view_capture"),
                    },
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
                    _page("API tokens", "key", "apitoken", "pipeline.view_capture"),
                    {
                        "title": "API",
                        "icon": "api",
                        "link": reverse_lazy("api_docs"),
                        "permission": lambda request: _may(request, "pipeline.view_capture"),
                    },
                ],
            },
        ],
    },
}
