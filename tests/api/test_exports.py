"""Releases over HTTP: the list, the files as they are, and nothing else of the folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.models import DataKind, LedgerKind
from pipeline.readers.release import build
from tests.api.asking import API, FOR_EVER, Script, body, viewer
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")


def test_a_release_is_listed_and_its_files_are_those_that_were_written(
    script: Script, tmp_path: Path, settings: Settings
) -> None:
    settings.MARKETSPINE_RELEASES_DIR = str(tmp_path / "releases")
    made = build.release(tmp_path / "releases", {}, incremental=False)
    (tmp_path / "releases" / "secret.txt").write_text("not of a release", encoding="utf-8")
    (made.path / "other.txt").write_text("not of this release", encoding="utf-8")

    [listed] = script.json("exports")["data"]
    assert listed["datapackage"] == f"{API}exports/{made.path.name}/datapackage.json"
    package = script.json(listed["datapackage"])
    assert (listed["files"], listed["as_of"]) == (len(package["resources"]), package["as_of"])
    for one in package["resources"]:
        response = script.get(f"exports/{made.path.name}/{one['path']}")
        content = body(response)
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == one["hash"]
        assert (int(response["Content-Length"]), len(content)) == (one["bytes"], one["bytes"])
        assert (response["Cache-Control"], response["RateLimit-Policy"][:6]) == (FOR_EVER, '"read"')
        assert (
            script.get(f"exports/{made.path.name}/{one['path']}", {"If-None-Match": response["ETag"]}).status_code
            == 304
        )

    for path in ("other.txt", "../secret.txt", "%2e%2e/secret.txt", "/etc/passwd", "rows", ".", "datapackage.json/"):
        assert script.problem(404, f"exports/{made.path.name}/{path}")["type"] in (
            "/problems/unknown-file",
            "/problems/not-found",
        ), path
    for name in ("none", "..", ".", "%2e%2e", "secret.txt"):
        assert script.get(f"exports/{name}/datapackage.json").status_code == 404, name


def test_without_a_folder_there_are_no_releases(ledger: Ledger, settings: Settings) -> None:
    settings.MARKETSPINE_RELEASES_DIR = ""
    script = viewer()
    assert script.json("exports")["data"] == []
    assert script.problem(404, "exports/x/datapackage.json")["type"] == "/problems/unknown-release"


def test_the_name_of_a_file_says_that_its_data_is_invented(script: Script) -> None:
    assert script.get("market", format="csv")["Content-Disposition"] == 'attachment; filename="market.csv"'
    LedgerKind.objects.update(kind=DataKind.SAMPLES)
    assert script.get("market", format="csv")["Content-Disposition"] == 'attachment; filename="samples_market.csv"'
    assert script.json("market")["warnings"][0]["code"] == "samples"
