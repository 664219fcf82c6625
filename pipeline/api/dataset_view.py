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
    """Reads the request, asks the readers, sends what they say."""

    source: Source = SOURCES[0]  # as_view says which: it takes only what the class has
    gives_whole_sets = True

    @property
    def needed(self) -> str:
        """That of its source."""
        return self.source.permission

    def get(self, request: RestRequest, **fixed: str) -> HttpResponseBase:
        """The answer. `fixed` is what the address itself says of the question."""
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
        """The parameters that are the API's. A feed needs no cursor: whoever follows it keeps a position."""
        return (*requests.OF_ANSWERS, *(("limit",) if self.source.is_feed else requests.PAGING))
