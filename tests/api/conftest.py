"""What most tests of the API begin with: a restated week, and a Viewer's script."""

from __future__ import annotations

import pytest

from tests.api.asking import Script, restated_week, viewer
from tests.support.engines import Begin


@pytest.fixture
def script(begin: Begin) -> Script:
    """A Viewer's script; OTC of the week was captured, then restated: a row changed, one was added, one removed."""
    begin(restated_week)
    return viewer()
