"""The product's URLs: the admin and the API. `marketspine.probes` answers those for machines before."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from pipeline.admin import rows
from pipeline.admin.market import urls as market
from pipeline.admin.people.people import change_own_password
from pipeline.api import urls as api

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    *rows.urls(),
    *market.urls(),
    path("admin/password_change/", admin.site.admin_view(change_own_password)),
    path("admin/", admin.site.urls),
    *api.urlpatterns,
]
handler400 = "pipeline.api.problem_pages.bad_request"
handler403 = "pipeline.api.problem_pages.forbidden"
handler404 = "pipeline.api.problem_pages.not_found"
handler500 = "pipeline.api.problem_pages.internal_error"
