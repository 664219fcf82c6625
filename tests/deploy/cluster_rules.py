"""What our manifests have to be among each other, and in time: what selects, leads to, shares and fires."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

from celery.schedules import ParseException, crontab

from tests.deploy.kustomizing import Manifest, of_kind, pods, settings_maps

Problems = Iterator[str]

ROUTE_FIELDS = {"host", "to", "port", "tls"}


def staffed(manifests: list[Manifest]) -> Problems:
    """Each queue has a worker, beat runs once; what a Deployment selects are its own pods."""
    deployments = [pod for pod in pods(manifests) if pod.kind == "Deployment"]
    if not deployments:
        return
    commands = {pod.name: pod.spec["containers"][0]["command"] for pod in deployments}
    queues = [command[command.index("-Q") + 1] for command in commands.values() if "-Q" in command]
    if sorted(",".join(queues).split(",")) != ["calc", "control", "ingest"]:
        yield f"the workers take {queues}"
    beats = [pod.workload["spec"] for pod in deployments if "beat" in commands[pod.name]]
    if [(spec["replicas"], spec["strategy"]["type"]) for spec in beats] != [(1, "Recreate")]:
        yield "beat does not run just once"
    selected = [frozenset(pod.workload["spec"]["selector"]["matchLabels"].items()) for pod in deployments]
    if len(set(selected)) != len(selected):
        yield "two Deployments select the same pods"
    for pod in deployments:
        if not pod.workload["spec"]["selector"]["matchLabels"].items() <= pod.labels.items():
            yield f"{pod.name} does not select its own pods"


def ended(manifests: list[Manifest]) -> Problems:
    """A Job ends: it does not restart in place, is tried a few times, has a deadline, and is cleared away."""
    for pod in pods(manifests):
        if pod.kind == "Deployment":
            continue
        spec = pod.workload["spec"]["jobTemplate"]["spec"] if pod.kind == "CronJob" else pod.workload["spec"]
        if pod.spec.get("restartPolicy") != "Never":
            yield f"{pod.name}: restartPolicy {pod.spec.get('restartPolicy')}"
        if not {"backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"} <= spec.keys():
            yield f"{pod.name} has no end"
        names = {container["name"] for container in pod.spec["containers"]}
        for rule in spec.get("podFailurePolicy", {}).get("rules", []):
            if rule["action"] not in ("Ignore", "FailJob", "Count", "FailIndex"):
                yield f"{pod.name}: no action {rule['action']}"
            if rule.get("onExitCodes", {}).get("containerName", pod.spec["containers"][0]["name"]) not in names:
                yield f"{pod.name}: a rule for a container that is not there"


def timed(manifests: list[Manifest]) -> Problems:
    """A CronJob fires when it says, in its zone, one at a time, and is made up for when it was missed by hours."""
    for job in of_kind(manifests, "CronJob"):
        name, spec = job["metadata"]["name"], job["spec"]
        if spec.get("concurrencyPolicy") != "Forbid":
            yield f"{name}: concurrencyPolicy {spec.get('concurrencyPolicy')}"
        if spec.get("timeZone") not in available_timezones():
            yield f"{name}: no time zone {spec.get('timeZone')}"
        if spec.get("suspend"):
            yield f"{name} is suspended"
        yield from (f"{name}: {what}" for what in _no_crontab(spec["schedule"]))
        if not 600 <= spec.get("startingDeadlineSeconds", 0) < 24 * 3600:
            yield f"{name} is not made up for, or for ever"


def _no_crontab(schedule: str) -> Problems:
    try:
        crontab.from_string(schedule)
    except (ParseException, ValueError) as error:
        yield f"{schedule!r} is no crontab: {error}"


def reached(manifests: list[Manifest]) -> Problems:
    """Services, budgets and policies select pods that are there; ways in lead to a port of a Service."""
    labels = [pod.labels for pod in pods(manifests)]
    ports = {port["name"] for pod in pods(manifests) for box in pod.containers for port in box.get("ports", [])}
    services = {item["metadata"]["name"]: item["spec"] for item in of_kind(manifests, "Service")}
    selecting = {item["metadata"]["name"]: item["spec"]["selector"] for item in of_kind(manifests, "Service")}
    for item in of_kind(manifests, "PodDisruptionBudget", "NetworkPolicy"):
        chosen = item["spec"].get("selector") or item["spec"]["podSelector"]
        selecting[f"{item['kind']} {item['metadata']['name']}"] = chosen["matchLabels"]
    for name, selector in selecting.items():
        if not any(selector.items() <= own.items() for own in labels):
            yield f"{name} selects no pod"
    for name, spec in services.items():
        yield from (f"{name} leads to no port" for port in spec["ports"] if port["targetPort"] not in ports)
    offered = {(name, port["name"]) for name, spec in services.items() for port in spec["ports"]}
    for way, host, service, port in _ways_in(manifests):
        if (service, port) not in offered:
            yield f"{way} leads to {service}:{port}, which is not there"
        if host not in _allowed_hosts(manifests):
            yield f"{way}: {host} is none of ALLOWED_HOSTS"


def _ways_in(manifests: list[Manifest]) -> Iterator[tuple[str, str, str, Any]]:
    for item in of_kind(manifests, "Ingress"):
        for rule in item["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                yield "Ingress", rule["host"], service["name"], service["port"]["name"]
    for item in of_kind(manifests, "Route"):
        yield "Route", item["spec"]["host"], item["spec"]["to"]["name"], item["spec"]["port"]["targetPort"]


def _allowed_hosts(manifests: list[Manifest]) -> list[str]:
    return [host for item in settings_maps(manifests) for host in item["data"].get("ALLOWED_HOSTS", "").split(",")]


def encrypted(manifests: list[Manifest]) -> Problems:
    """A way in from outside speaks TLS, sends http there, and the product knows: its cookies go over https only."""
    for item in of_kind(manifests, "Route"):
        spec = item["spec"]
        if spec.keys() != ROUTE_FIELDS or spec["to"].get("kind") != "Service":
            yield f"a Route has {sorted(spec)}"
        if spec.get("tls") != {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}:
            yield "the Route takes http"
    for item in of_kind(manifests, "Ingress"):
        secured = {host for entry in item["spec"].get("tls", []) for host in entry["hosts"]}
        yield from (f"{rule['host']} has no TLS" for rule in item["spec"]["rules"] if rule["host"] not in secured)
    if of_kind(manifests, "Route", "Ingress"):
        for item in settings_maps(manifests):
            if (item["data"].get("MARKETSPINE_HTTPS"), item["data"].get("MARKETSPINE_PROXIES")) != ("true", "1"):
                yield "the product does not know of the proxy"


def shared(manifests: list[Manifest]) -> Problems:
    """A volume that several pods write is ReadWriteMany; SQLite's has one pod at a time, and never is."""
    modes = {
        item["metadata"]["name"]: item["spec"]["accessModes"] for item in of_kind(manifests, "PersistentVolumeClaim")
    }
    users: dict[str, int] = {}
    for pod in pods(manifests):
        for volume in pod.spec.get("volumes", []):
            if claim := volume.get("persistentVolumeClaim", {}).get("claimName"):
                users[claim] = users.get(claim, 0) + pod.workload["spec"].get("replicas", 1)
    on_sqlite = any("sqlite" in item["data"].get("DATABASE_URL", "") for item in settings_maps(manifests))
    for claim, count in users.items():
        wanted = ["ReadWriteOncePod"] if on_sqlite else ["ReadWriteMany"] if count > 1 else modes.get(claim)
        if modes.get(claim) != wanted:
            yield f"{claim} is {modes.get(claim)}, and {count} pods use it"


def placed(manifests: list[Manifest]) -> Problems:
    """All in one namespace; the name of a namespace of our own says that restricted pods only may run there."""
    namespaces = {item["metadata"].get("namespace") for item in manifests if item["kind"] != "Namespace"}
    if len(namespaces) != 1 or None in namespaces:
        yield f"in several namespaces: {namespaces}"
    for item in of_kind(manifests, "Namespace"):
        if item["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            yield "the namespace takes any pod"
