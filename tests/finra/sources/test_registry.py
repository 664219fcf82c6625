"""The registry: from a name to a source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.finra.sources import REGISTRY, SourceOptions, UnknownSource, open_source
from pipeline.finra.sources.api.access import Access
from pipeline.finra.sources.base import SourceError
from pipeline.finra.sources.files.source import FilesSource


def test_files_is_the_folder_source_with_the_options_given(tmp_path: Path) -> None:
    source = open_source("files", SourceOptions(tmp_path, 1000))
    assert source == FilesSource(tmp_path, 1000)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_source_knows_the_name_it_is_registered_under(name: str, tmp_path: Path) -> None:
    access = Access("http://127.0.0.1:1", "http://127.0.0.1:1/token")
    assert open_source(name, SourceOptions(tmp_path, 1000, access)).name == name


def test_an_unconfigured_api_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the settings do not say how FINRA's API is reached"):
        open_source("api", SourceOptions(tmp_path, 1000))


@pytest.mark.parametrize("name", ["ftp", "", "FILES"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownSource) as refused:
        open_source(name, SourceOptions(tmp_path, 1000))
    assert str(refused.value) == f"unknown source {name!r}: known are {', '.join(sorted(REGISTRY))}"
    assert isinstance(refused.value, SourceError)


def test_sources_load_without_django() -> None:
    program = "import sys, pipeline.finra.sources; print('django' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "False\n"
