"""The product's URLs: the admin, and a page that says whether the product works."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from marketspine.health import health
from pipeline.admin import rows
from pipeline.admin.people.people import change_own_password

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    *rows.urls(),
    path("admin/password_change/", admin.site.admin_view(change_own_password)),
    path("admin/", admin.site.urls),
    path("health/", health, name="health"),
]
