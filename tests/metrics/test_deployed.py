"""Rules, dashboard and examples under deploy/: they name what exists, and Prometheus's own tools take them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from deploy.grafana import dashboard
from pipeline.metrics.names import METRICS

ROOT = Path(settings.BASE_DIR)
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES, TESTS = PROMETHEUS / "marketspine.rules.yml", PROMETHEUS / "marketspine.test.yml"
NAMED = re.compile(r"\bmarketspine_\w+")
KNOWN = {metric.full_name for metric in METRICS}
UNITS = {"short", "s", "bytes", "percentunit", "dateTimeAsIso"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts() -> dict[str, dict[str, Any]]:
    [group] = load(RULES)["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def panels() -> Iterator[dict[str, Any]]:
    """Those that show something; the rows that open hold theirs."""
    for panel in json.loads(dashboard.FILE.read_text(encoding="utf-8"))["panels"]:
        yield from panel["panels"] if panel["type"] == "row" else [panel]


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def ran(tool: str, *words: object) -> subprocess.CompletedProcess[str]:
    """A tool of Prometheus; the test is skipped where it is not installed (Debian: prometheus, prometheus-alertmanager)."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([tool, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)


def test_rules_name_metrics_that_exist() -> None:
    named = {name for rule in alerts().values() for name in NAMED.findall(rule["expr"])}
    assert named - KNOWN == set()


def test_every_alert_has_its_section_of_the_runbook() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8"), re.M)
    assert sections == list(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"].endswith(f"/runbooks.md#{name.lower()}")


def test_every_alert_says_how_grave_it_is_and_its_summary_is_constant() -> None:
    for rule in alerts().values():
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert "{{" not in rule["annotations"]["summary"]


def test_every_alert_fires_in_one_unit_test_and_not_in_another() -> None:
    checks = [check for case in load(TESTS)["tests"] for check in case["alert_rule_test"]]
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == alerts().keys()
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == alerts().keys()


def test_promtool_takes_the_rules_and_their_unit_tests_pass() -> None:
    checked = ran("promtool", "check", "rules", "--lint=all", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = ran("promtool", "test", "rules", TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_examples_are_valid() -> None:
    checked = ran("promtool", "check", "config", "--syntax-only", PROMETHEUS / "prometheus.example.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    checked = ran("amtool", "check-config", PROMETHEUS / "alertmanager.example.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_inhibition_and_routes_name_alerts_that_exist() -> None:
    text = (PROMETHEUS / "alertmanager.example.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"MarketSpine[A-Z]\w+", text)) - alerts().keys() == set()


def test_the_dashboard_is_what_its_script_makes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text()


def test_the_dashboard_can_be_provisioned() -> None:
    """Its data source is a variable: an __inputs of an export is filled in by hand only."""
    document = json.loads(dashboard.FILE.read_text(encoding="utf-8"))
    assert (document["uid"], "__inputs" in document, "id" in document) == ("marketspine", False, False)
    assert document["templating"]["list"][0]["name"] == "datasource"
    assert len({panel["id"] for panel in panels()}) == len(list(panels()))


def test_every_panel_names_metrics_that_exist_and_has_unit_description_and_link() -> None:
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["links"][0]["url"].startswith(("${admin_url}/admin/", "${docs_url}/runbooks.md#")), panel["title"]
    named = {name for expression in expressions() for name in NAMED.findall(expression)}
    assert named - KNOWN == set()


def test_runbooks_that_panels_lead_to_exist() -> None:
    urls = [link["url"] for panel in panels() for link in panel["links"]]
    anchors = {url.partition("#")[2] for url in urls if "#" in url}
    assert anchors - {name.lower() for name in alerts()} == set()


def test_prometheus_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    filled = [re.sub(r"\$__rate_interval", "5m", expression) for expression in expressions()]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(filled)]
    file = tmp_path / "dashboard.rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    checked = ran("promtool", "check", "rules", "--lint=none", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
