"""The product's URLs: the admin. What machines ask is answered before: `marketspine.probes`."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from pipeline.admin import rows
from pipeline.admin.people.people import change_own_password

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    *rows.urls(),
    path("admin/password_change/", admin.site.admin_view(change_own_password)),
    path("admin/", admin.site.urls),
]
