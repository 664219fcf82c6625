"""The manifests as `kubectl kustomize` renders them: what a cluster would be given."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

KUBERNETES = Path(settings.BASE_DIR) / "deploy" / "kubernetes"
DASHBOARD = "marketspine-dashboard"
OVERLAYS = ("plain", "openshift", "small", "small-openshift")
FIRST_KUSTOMIZE = (5, 0)  # earlier ones know no components or no `labels`

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as a workload makes it: which workload, and the pod's labels and spec."""

    workload: Manifest
    labels: dict[str, str]
    spec: Manifest

    @property
    def name(self) -> str:
        """The name of its workload."""
        return str(self.workload["metadata"]["name"])

    @property
    def kind(self) -> str:
        """Deployment, Job or CronJob."""
        return str(self.workload["kind"])

    @property
    def containers(self) -> list[Manifest]:
        """Those that come first, then the others."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def render(overlay: str) -> list[Manifest]:
    """What an overlay of ours comes to; a copy, so that a test may change it."""
    copied: list[Manifest] = json.loads(json.dumps(_rendered(KUBERNETES / "overlays" / overlay)))
    return copied


def render_with(folder: Path, base: str, components: tuple[str, ...]) -> list[Manifest]:
    """What an overlay comes to that somebody writes in `folder`, on a base of ours, with these components."""
    at = os.path.relpath(KUBERNETES, folder)
    written = {"resources": [f"{at}/{base}"], "components": [f"{at}/components/{name}" for name in components]}
    (folder / "kustomization.yaml").write_text(json.dumps(written), encoding="utf-8")
    return _rendered(folder)


def pods(manifests: list[Manifest]) -> Iterator[Pod]:
    """The pods that the workloads among them make."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job", "CronJob"):
            spec = manifest["spec"]["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else manifest["spec"]
            template = spec["template"]
            yield Pod(manifest, template.get("metadata", {}).get("labels", {}), template["spec"])


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of these kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def settings_maps(manifests: list[Manifest]) -> list[Manifest]:
    """The maps of settings: kustomize gives them a name that ends in their hash."""
    return [item for item in of_kind(manifests, "ConfigMap") if item["metadata"]["name"] != DASHBOARD]


@functools.cache
def _rendered(folder: Path) -> list[Manifest]:
    ran = subprocess.run([_kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return list(yaml.load_all(ran.stdout, yaml.CSafeLoader))


@functools.cache
def _kubectl() -> str:
    """A kubectl with a kustomize that can render them; the test is skipped where there is none."""
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip("kubectl is not installed: the manifests cannot be rendered")
    said = subprocess.run([found, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False)
    version = json.loads(said.stdout or "{}").get("kustomizeVersion", "v0.0").removeprefix("v")
    if tuple(int(part) for part in version.split(".")[:2]) < FIRST_KUSTOMIZE:
        pytest.skip(f"kubectl's kustomize {version} cannot render components: 5.0 or newer can")
    return found
