"""Makes components/monitoring/prometheus-rule.yaml of the alert rules: `python -m deploy.kubernetes.prometheus_rule`.

The operator of Prometheus wants the groups of rules within an object of its own, and kustomize cannot put them there.
"""

from __future__ import annotations

from pathlib import Path

RULES = Path(__file__).parents[1] / "prometheus" / "marketspine.rules.yml"
TARGET = Path(__file__).parent / "components" / "monitoring" / "prometheus-rule.yaml"
HEAD = """\
# Made of deploy/prometheus/marketspine.rules.yml: python -m deploy.kubernetes.prometheus_rule
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: marketspine
  labels: {app.kubernetes.io/name: marketspine}
spec:
"""


def manifest() -> str:
    """The manifest: the rules as they are, two blanks further in."""
    lines = RULES.read_text(encoding="utf-8").splitlines()
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in lines)


if __name__ == "__main__":
    TARGET.write_text(manifest(), encoding="utf-8")
