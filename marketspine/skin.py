"""The admin's skin: django-unfold's settings, without the navigation (`navigation`)."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static

from marketspine.navigation import navigation


def _style(name: str) -> Any:
    return lambda _request: static(f"pipeline/{name}")


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
        "navigation": navigation,
    },
}
