"""The manifests: what a cluster takes, and what it would take and then not do what we meant.

kubernetes-validate knows fields and their types. It passes a `concurrencyPolicy: Never`, a Job with `restartPolicy: Always`,
a crontab that is none, a zone that is none, a Service that selects nothing and a variable that no setting reads: the rules
of pod_rules.py and cluster_rules.py find these.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from kubernetes_validate import utils

from deploy.kubernetes import prometheus_rule
from tests.containers.composing import DOCKERFILE, document
from tests.deploy import cluster_rules, pod_rules
from tests.deploy.kustomizing import KUBERNETES, OVERLAYS, Manifest, of_kind, pods, render, render_with

OLDEST, NEWEST = "1.30", "1.37"
VERSIONS = [f"1.{minor}" for minor in range(30, 38)]
OF_OPERATORS = {"Route", "ServiceMonitor", "PrometheusRule"}  # kinds that Kubernetes itself has no schema of
RULES = (
    pod_rules.restricted,
    pod_rules.bounded,
    pod_rules.pinned,
    pod_rules.configured,
    pod_rules.mounted,
    pod_rules.probed,
    pod_rules.patient,
    pod_rules.commanded,
    cluster_rules.staffed,
    cluster_rules.ended,
    cluster_rules.timed,
    cluster_rules.reached,
    cluster_rules.encrypted,
    cluster_rules.shared,
    cluster_rules.placed,
)
EVERY_COMPONENT = tuple(sorted(path.parent.name for path in KUBERNETES.glob("components/*/kustomization.yaml")))
Change = Callable[[list[Manifest]], Any]

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def problems(manifests: list[Manifest]) -> list[str]:
    """What is wrong with them by any rule."""
    return [problem for rule in RULES for problem in rule(manifests)]


@pytest.fixture(autouse=True)
def schemas_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are megabytes, and read again for each manifest."""
    monkeypatch.setattr(utils, "schema_contents", _schema_contents)


_schema_contents = functools.cache(utils.schema_contents)


def validate(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        if manifest["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(manifest, version, strict=True)


@each_overlay
def test_an_overlay_is_as_the_rules_have_it(overlay: str) -> None:
    assert problems(render(overlay)) == []


@each_overlay
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_an_overlay(overlay: str, version: str) -> None:
    validate(render(overlay), version)


@pytest.mark.parametrize("version", VERSIONS[1:-1])
def test_kubernetes_between_takes_the_largest_and_the_smallest(version: str) -> None:
    validate([*render("plain"), *render("small")], version)


@pytest.mark.parametrize("overlay", ["openshift", "small-openshift"])
def test_openshift_is_left_to_name_user_and_groups(overlay: str) -> None:
    assert list(pod_rules.names_no_user(render(overlay))) == []


@pytest.mark.parametrize("overlay", ["plain", "small"])
def test_elsewhere_the_image_s_user_is_named(overlay: str) -> None:
    assert list(pod_rules.names_the_image_s_user(render(overlay))) == []
    assert re.findall(r"^USER (.*)$", DOCKERFILE.read_text(encoding="utf-8"), re.M) == ["1001:0"]


@pytest.mark.parametrize("component", EVERY_COMPONENT)
def test_each_component_stands_by_itself_on_the_base(component: str, tmp_path: Path) -> None:
    manifests = render_with(tmp_path, "base", (component,))
    validate(manifests, OLDEST)
    validate(manifests, NEWEST)
    assert list(pod_rules.restricted(manifests)) == []
    assert [problem for rule in (pod_rules.configured, cluster_rules.reached) for problem in rule(manifests)] == []


def test_all_components_stand_together(tmp_path: Path) -> None:
    """In the order that they ask for: what makes pods, the archive for them, and the user of all."""
    together = ("backup", "monitoring", "archive-rwx", "ingress", "network-policy", "disruption-budget", "fixed-user")
    assert {*together} == {*EVERY_COMPONENT} - {"archive-s3", "openshift-route"}
    manifests = render_with(tmp_path, "base", together)
    validate(manifests, OLDEST)
    unsettled = (pod_rules.pinned, cluster_rules.placed)  # image and namespace are the overlay's
    assert [problem for rule in RULES if rule not in unsettled for problem in rule(manifests)] == []
    assert list(pod_rules.names_the_image_s_user(manifests)) == []
    lacking = [
        pod.name
        for pod in pods(manifests)
        if "archive" not in {volume["name"] for volume in pod.spec["volumes"]} and pod.kind != "Job"
    ]
    assert lacking == []


def test_the_cluster_has_the_rules_and_the_dashboard_that_there_are(tmp_path: Path) -> None:
    assert prometheus_rule.TARGET.read_text(encoding="utf-8") == prometheus_rule.manifest()
    manifests = render_with(tmp_path, "base", ("monitoring",))
    rules = yaml.safe_load(prometheus_rule.RULES.read_text(encoding="utf-8"))
    assert the(manifests, "PrometheusRule")["spec"] == rules
    dashboard = (KUBERNETES.parent / "grafana" / "marketspine.json").read_text(encoding="utf-8")
    assert the(manifests, "ConfigMap", "-dashboard")["data"] == {"marketspine.json": dashboard}


def test_the_migration_of_each_version_is_a_job_of_its_own() -> None:
    for overlay in ("plain", "openshift"):
        (job,) = of_kind(render(overlay), "Job")
        (image,) = {container["image"] for pod in pods([job]) for container in pod.containers}
        assert job["metadata"]["name"] == f"marketspine-migrate-{image.rpartition(':')[2]}"


def test_the_small_installation_is_as_it_was_promised() -> None:
    (pod,) = pods(render("small"))
    assert pod.kind == "CronJob"
    assert (pod.workload["spec"]["schedule"], pod.workload["spec"]["timeZone"]) == ("30 10 * * 1-5", "America/New_York")
    for container in pod.containers:
        assert container["resources"] == {
            "requests": {"cpu": "500m", "memory": "512Mi"},
            "limits": {"cpu": "2000m", "memory": "2Gi"},
        }


def test_pods_run_what_compose_runs() -> None:
    """But for what the cluster's probes and logs ask for."""
    ours = {
        pod.name.removeprefix("marketspine-"): pod.spec["containers"][0]["command"] for pod in pods(render("plain"))
    }
    for name in ("web", "worker-ingest", "worker-calc", "beat"):
        composed = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in document()["services"][name]["command"]]
        assert ours[name] == composed


def test_the_yaml_has_no_lint() -> None:
    lint = shutil.which("yamllint", path=str(Path(sys.executable).parent)) or pytest.fail("yamllint is not installed")
    ran = subprocess.run(
        [lint, "-s", "-c", str(KUBERNETES / ".yamllint"), str(KUBERNETES)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "")


def the(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    """The manifest of a kind, or the one of them whose name ends so."""
    (found,) = [item for item in of_kind(manifests, kind) if item["metadata"]["name"].endswith(name)]
    return found


def _job(manifests: list[Manifest]) -> Manifest:
    return dict(the(manifests, "CronJob")["spec"]["jobTemplate"]["spec"])


def _pod(manifests: list[Manifest], name: str) -> Manifest:
    (spec,) = [pod.spec for pod in pods(manifests) if pod.name.endswith(name)]
    return spec


def _box(manifests: list[Manifest], name: str) -> Manifest:
    return dict(_pod(manifests, name)["containers"][0])


MISTAKES: dict[str, tuple[str, Change, str]] = {
    "a policy that is none": (
        "small",
        lambda m: the(m, "CronJob")["spec"].update(concurrencyPolicy="Never"),
        "concurrencyPolicy Never",
    ),
    "a job that restarts in place": (
        "small",
        lambda m: _job(m)["template"]["spec"].update(restartPolicy="Always"),
        "restartPolicy Always",
    ),
    "a crontab that is none": (
        "small",
        lambda m: the(m, "CronJob")["spec"].update(schedule="30 25 * * 1-5"),
        "is no crontab",
    ),
    "a zone that is none": (
        "small",
        lambda m: the(m, "CronJob")["spec"].update(timeZone="America/NewYork"),
        "no time zone",
    ),
    "a zone within the schedule": (
        "small",
        lambda m: the(m, "CronJob")["spec"].update(schedule="CRON_TZ=UTC 30 10 * * 1"),
        "is no crontab",
    ),
    "a rule for another container": (
        "small",
        lambda m: _job(m)["podFailurePolicy"]["rules"][1]["onExitCodes"].update(containerName="job"),
        "a container that is not there",
    ),
    "SQLite that two may open": (
        "small",
        lambda m: the(m, "PersistentVolumeClaim")["spec"].update(accessModes=["ReadWriteMany"]),
        "pods use it",
    ),
    "a run that is cut": (
        "small",
        lambda m: _job(m)["template"]["spec"].update(terminationGracePeriodSeconds=30),
        "in the midst of a task",
    ),
    "an option that is none": (
        "small",
        lambda m: _pod(m, "weekly")["containers"][0]["command"].append("--lookback"),
        "run_weekly --lookback",
    ),
    "an archive on one node": (
        "plain",
        lambda m: the(m, "PersistentVolumeClaim")["spec"].update(accessModes=["ReadWriteOnce"]),
        "pods use it",
    ),
    "a Service that selects nothing": (
        "plain",
        lambda m: the(m, "Service")["spec"]["selector"].update({"app.kubernetes.io/component": "www"}),
        "selects no pod",
    ),
    "an Ingress to another Service": (
        "plain",
        lambda m: the(m, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="web"),
        "which is not there",
    ),
    "a host that Django refuses": (
        "plain",
        lambda m: the(m, "Ingress")["spec"]["rules"][0].update(host="other.example.com"),
        "none of ALLOWED_HOSTS",
    ),
    "a misspelt variable": (
        "plain",
        lambda m: the(m, "ConfigMap")["data"].update(MARKETSPINE_SOURCES="api"),
        "no setting reads MARKETSPINE_SOURCES",
    ),
    "a secret that is not mounted": (
        "plain",
        lambda m: the(m, "ConfigMap")["data"].update(SECRET_KEY_FILE="/run/secrets/secret_key"),
        "nothing is mounted at",
    ),
    "a queue without a worker": (
        "plain",
        lambda m: _box(m, "worker-calc")["command"].__setitem__(5, "calc"),
        "the workers take",
    ),
    "two of beat": ("plain", lambda m: the(m, "Deployment", "beat")["spec"].update(replicas=2), "just once"),
    "a worker that is cut": (
        "plain",
        lambda m: _pod(m, "worker-ingest").update(terminationGracePeriodSeconds=1200),
        "in the midst of a task",
    ),
    "a probe that starts Python": (
        "plain",
        lambda m: _box(m, "beat")["livenessProbe"]["exec"].update(command=["python", "manage.py", "health", "beat"]),
        "starts more than a shell",
    ),
    "a container that comes first and may write": (
        "plain",
        lambda m: _pod(m, "web")["initContainers"][0]["securityContext"].update(readOnlyRootFilesystem=False),
        "may write to its root",
    ),
    "no /tmp": ("plain", lambda m: _box(m, "web")["volumeMounts"].pop(1), "has no /tmp"),
    "an image without a version": (
        "plain",
        lambda m: _pod(m, "web")["containers"][0].update(image="marketspine:latest"),
        "for its tag",
    ),
    "a Route that takes http": (
        "openshift",
        lambda m: the(m, "Route")["spec"]["tls"].update(insecureEdgeTerminationPolicy="Allow"),
        "takes http",
    ),
}


@pytest.mark.parametrize(("overlay", "change", "told"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_found(overlay: str, change: Change, told: str) -> None:
    manifests = render(overlay)
    change(manifests)
    found = problems(manifests)
    assert [problem for problem in found if told in problem], found
