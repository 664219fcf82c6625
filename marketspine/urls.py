"""The product's URLs. The spine has none of its own: the admin brings them."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
