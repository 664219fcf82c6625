"""The addresses of the API. Their names differ from the admin's, which checks parameters by the names of its own."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from pipeline.api.about import Dictionary, Index, Nowhere, OpenApi
from pipeline.api.captures import OneCapture
from pipeline.api.dataset_view import DatasetView
from pipeline.api.datasets import SOURCES
from pipeline.api.exports import ReleaseFile, Releases
from pipeline.api.page import api_page
from pipeline.api.problem_pages import problem_page, problem_pages

urlpatterns: list[URLPattern] = [
    path("api/v1/", Index.as_view(), name="api_index"),
    *(
        path(f"api/v1/{source.path}", DatasetView.as_view(source=source), name=f"api_{source.name}")
        for source in SOURCES
    ),
    path("api/v1/captures/<str:capture>", OneCapture.as_view(), name="api_capture"),
    path("api/v1/exports", Releases.as_view(), name="api_exports"),
    path("api/v1/exports/<str:release>/<path:path>", ReleaseFile.as_view(), name="api_release_file"),
    path("api/v1/dictionary", Dictionary.as_view(), name="api_dictionary"),
    path("api/v1/openapi.json", OpenApi.as_view(), name="api_openapi"),
    path("api/v1/docs", api_page, name="api_docs"),
    re_path(r"^api(/.*)?$", Nowhere.as_view(), name="api_nowhere"),
    path("problems/", problem_pages, name="problems"),
    path("problems/<slug:slug>", problem_page, name="problem"),
]
