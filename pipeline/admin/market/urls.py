"""The addresses of the analyst's pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from pipeline.admin.market import compare, market, restatements, revisions, symbol, venue
from pipeline.admin.market.frame import MarketPage
from pipeline.admin.market.search import search

PAGES: dict[str, MarketPage] = {
    "": market.PAGE,
    "venue/": venue.PAGE,
    "symbol/": symbol.PAGE,
    "restatements/": restatements.PAGE,
    "revisions/": revisions.PAGE,
    "compare/": compare.PAGE,
}


def urls() -> list[URLPattern]:
    """The pages below /admin/market/, and the search."""
    return [
        *(
            path(f"admin/market/{at}", admin.site.admin_view(page.__call__), name=page.name)
            for at, page in PAGES.items()
        ),
        path("admin/market/search/", admin.site.admin_view(search), name="market_search"),
    ]
