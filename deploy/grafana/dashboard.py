"""Makes marketspine.json, the dashboard: `python -m deploy.grafana.dashboard`. A test holds the file to this script.

Rows from the question "is all well?" down to the exporter. A figure is the `max` over the processes that tell it, as in the
alerts, and is coloured where the alert of the same figure fires.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.grafana.panels import (
    ADMIN,
    DATASOURCE,
    DOCS,
    FAILED_RUN,
    OF,
    RED,
    RESTATED,
    WIDTH,
    at,
    gone_up,
    link,
    placed,
)
from deploy.grafana.rows_of_data import DATA, JUDGED, WEEKS, WELL
from deploy.grafana.rows_of_keeping import EXPORTER, KEEPING
from deploy.grafana.rows_of_work import ENGINE, FINRA, RUNS

FILE = Path(__file__).with_name("marketspine.json")
UID = "marketspine"
SCHEMA = 39  # Grafana 10 and later
ROWS = (WELL, WEEKS, RUNS, DATA, JUDGED, FINRA, ENGINE, KEEPING, EXPORTER)


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana reads it."""
    return {
        "uid": UID,
        "title": "Market Spine",
        "description": "Captures of FINRA's weekly OTC transparency data: what is late, ready, under way, kept.",
        "tags": ["marketspine"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-30d", "to": "now"},
        "timezone": "utc",
        "links": [link("Admin", f"{ADMIN}/admin/"), link("Runbooks", f"{DOCS}/runbooks.md")],
        "templating": {"list": list(_variables())},
        "annotations": {"list": list(_annotations())},
        "panels": list(_panels()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    build = "marketspine_build_info"
    yield _query_variable("job", f"label_values({build}, job)")
    yield _query_variable("namespace", f"label_values({build}, namespace)")
    yield _query_variable("tier", f"label_values(marketspine_partitions{{{OF}}}, tier)")
    yield _query_variable("use", f"label_values(marketspine_readiness_verdicts{{{OF}}}, use)")
    for name, label, value in (
        ("admin_url", "Address of the admin", "http://127.0.0.1:8000"),
        ("docs_url", "Address of the documents", "https://docs.example.invalid"),
    ):
        chosen = {"text": value, "value": value}
        yield {"name": name, "label": label, "type": "textbox", "query": value, "current": chosen, "options": [chosen]}


def _query_variable(name: str, query: str) -> dict[str, Any]:
    """One that has all values chosen, and also finds series that lack the label."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _annotations() -> Iterator[dict[str, Any]]:
    failed = f"sum({gone_up('runs_finished', 'trigger', 'command', 'status', over='5m', where=FAILED_RUN)}) > 0"
    restated = f"sum by (tier) ({gone_up('captures', 'tier', 'kind', over='5m', where=RESTATED)}) > 0"
    changed = f"count by (version) (marketspine_build_info{{{OF}}} unless marketspine_build_info{{{OF}}} offset 5m)"
    for name, query, colour in (
        ("Runs that failed", failed, RED),
        ("Restatements", restated, "blue"),
        ("Deployments", changed, "purple"),
    ):
        yield {"name": name, "datasource": DATASOURCE, "expr": query, "step": "5m", "enable": True, "iconColor": colour}


def _panels() -> Iterator[dict[str, Any]]:
    top_of_row, number = 0, 0
    for row in ROWS:
        number += 1
        heading = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": row.is_closed,
            "gridPos": at(0, top_of_row, WIDTH, 1),
        }
        inside, top_of_row = placed(row, number + 1, top_of_row + 1)
        number += len(inside)
        yield {**heading, "panels": inside if row.is_closed else []}
        if not row.is_closed:
            yield from inside


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
