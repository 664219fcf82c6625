"""An endpoint that answers with a dataset of the readers."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from rest_framework.request import Request as RestRequest

from pipeline.api import requests
from pipeline.api.answers import Asked, check_paging, cursor_of, pinned, reply
from pipeline.api.base import Endpoint
from pipeline.api.datasets import SOURCES, Source
from pipeline.api.descriptions import Description, of_dataset
from pipeline.api.forms import form_accepted


class DatasetView(Endpoint):
    """Reads the request, asks the readers, sends their answer."""

    source: Source = SOURCES[0]  # set by as_view, which only sets attributes that the class has
    gives_whole_sets = True

    @property
    def needed(self) -> str:
        """The permission of its source."""
        return self.source.permission

    def get(self, request: RestRequest, **fixed: str) -> HttpResponseBase:
        """The answer. `fixed` are parameters in the path."""
        http = request._request
        known = {name: one for name, one in self.source.parameters.items() if name not in fixed}
        asked = requests.read(http.GET, known, self.of_http, form_accepted(http))
        check_paging(asked)
        cursor = cursor_of(http.path, asked)
        result = self.source.answer(**fixed, **pinned(asked.asked, cursor, self.source))
        if asked.fields:
            result = result.narrowed(asked.fields)
        return reply(http, Asked(http.path, asked, cursor, is_feed=self.source.is_feed), result)

    def described(self) -> Description:
        """For the OpenAPI document."""
        return of_dataset(self.source, self.of_http)

    @property
    def of_http(self) -> tuple[str, ...]:
        """The API's own parameters. A feed needs no cursor: its reader keeps a position."""
        return (*requests.OF_ANSWERS, *(("limit",) if self.source.is_feed else requests.PAGING))
