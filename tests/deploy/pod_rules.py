"""What each pod of our manifests has to be: each rule yields what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.conf import settings

from tests.deploy.commands import refused
from tests.deploy.kustomizing import Manifest, Pod, of_kind, pods

Problems = Iterator[str]

RESTRICTED_VOLUMES = {"configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected", "downwardAPI", "name"}
IDENTITIES = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups")
SECRET_KEYS = {"secret_key", "database_url", "broker_url", "metrics_token"}
# LOGNAME: who the operator log and the run say it was; the other is boto3's, which passes over a file that is not there.
NO_SETTINGS = {"LOGNAME", "AWS_SHARED_CREDENTIALS_FILE"}


def restricted(manifests: list[Manifest]) -> Problems:
    """The restricted Pod Security Standard, a root that is only read, and no token."""
    for pod in pods(manifests):
        context = pod.spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
            yield f"{pod.name} may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod.name} has no seccomp profile"
        if any(pod.spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{pod.name} shares a namespace of the node"
        if pod.spec.get("automountServiceAccountToken") is not False or pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod.name} is given a token or the addresses of services"
        for volume in pod.spec.get("volumes", []):
            if not volume.keys() <= RESTRICTED_VOLUMES:
                yield f"{pod.name} has a volume of the node: {volume['name']}"
        for container in pod.containers:
            yield from (f"{pod.name}/{container['name']} {what}" for what in _unconfined(container))


def _unconfined(container: Manifest) -> Problems:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may gain privileges"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root"
    if set(context) & {*IDENTITIES}:
        yield "names a user of its own"


def bounded(manifests: list[Manifest]) -> Problems:
    """Requests for both, a limit of memory, and no /tmp that fills the node."""
    for pod in pods(manifests):
        for container in pod.containers:
            resources = container.get("resources", {})
            if resources.get("requests", {}).keys() != {"cpu", "memory"} or "memory" not in resources.get("limits", {}):
                yield f"{pod.name}/{container['name']} is not bounded"
        for volume in pod.spec.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{pod.name}: {volume['name']} has no limit"


def pinned(manifests: list[Manifest]) -> Problems:
    """One image, with a tag."""
    images = {container["image"] for pod in pods(manifests) for container in pod.containers}
    if len(images) != 1:
        yield f"not one image: {sorted(images)}"
    for image in images:
        if not re.fullmatch(r"[\w.:-]+/[\w./-]+:\d+\.\d+\.\d+", image):
            yield f"{image} has no version for its tag"


def configured(manifests: list[Manifest]) -> Problems:
    """What a container is given are settings, each named once, from maps, claims and files that are there."""
    maps = {item["metadata"]["name"]: item["data"] for item in of_kind(manifests, "ConfigMap")}
    claims = {item["metadata"]["name"] for item in of_kind(manifests, "PersistentVolumeClaim")}
    for pod in pods(manifests):
        for volume in pod.spec.get("volumes", []):
            if "persistentVolumeClaim" in volume and volume["persistentVolumeClaim"]["claimName"] not in claims:
                yield f"{pod.name}: no claim for {volume['name']}"
        for container in pod.containers:
            yield from (f"{pod.name}/{container['name']}: {what}" for what in _misconfigured(container, maps))


def _misconfigured(container: Manifest, maps: dict[str, dict[str, str]]) -> Problems:
    named = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
    yield from (f"no map {name}" for name in named if name not in maps)
    given = {key: value for name in named for key, value in maps.get(name, {}).items()}
    own = {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
    yield from (f"{name} is given twice" for name in given.keys() & own.keys())
    for name, value in {**given, **own}.items():
        read = name.removesuffix("_FILE")
        if read not in settings.READ_FROM_ENVIRONMENT and name not in NO_SETTINGS:
            yield f"no setting reads {name}"
        if name.endswith("_FILE") and name not in NO_SETTINGS:
            yield from _unreadable(name, value, container)


def _unreadable(name: str, path: str, container: Manifest) -> Problems:
    folder, _, key = path.rpartition("/")
    if folder not in {mount["mountPath"] for mount in container.get("volumeMounts", [])}:
        yield f"{name}: nothing is mounted at {folder}"
    if key not in SECRET_KEYS:
        yield f"{name}: the secret has no {key}"


def mounted(manifests: list[Manifest]) -> Problems:
    """Each mount has its volume, each volume is mounted, /tmp is always there."""
    for pod in pods(manifests):
        there = {volume["name"] for volume in pod.spec.get("volumes", [])}
        mounts = [mount for container in pod.containers for mount in container.get("volumeMounts", [])]
        if there != {mount["name"] for mount in mounts}:
            yield f"{pod.name}: volumes and mounts are not the same"
        for container in pod.containers:
            if "/tmp" not in {mount["mountPath"] for mount in container.get("volumeMounts", [])}:
                yield f"{pod.name}/{container['name']} has no /tmp to write to"


def probed(manifests: list[Manifest]) -> Problems:
    """What serves is asked whether it starts and lives, by a port of its own or by a shell; no Python is started."""
    for pod in pods(manifests):
        for container in pod.spec["containers"] if pod.kind == "Deployment" else []:
            if not {"startupProbe", "livenessProbe"} <= container.keys():
                yield f"{pod.name} is not probed"
            if "http" in _ports(container) and "readinessProbe" not in container:
                yield f"{pod.name} gets requests before it is ready"
            for name in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe := container.get(name):
                    yield from (f"{pod.name} {name}: {what}" for what in _wrong_probe(probe, container))


def _wrong_probe(probe: Manifest, container: Manifest) -> Problems:
    if "httpGet" in probe and probe["httpGet"]["port"] not in _ports(container):
        yield f"no port {probe['httpGet']['port']}"
    if "httpGet" in probe and probe["httpGet"]["path"] not in ("/livez", "/readyz"):
        yield f"{probe['httpGet']['path']} answers no probe"
    if "exec" in probe and probe["exec"]["command"][:2] != ["sh", "marketspine/alive.sh"]:
        yield "starts more than a shell"


def _ports(container: Manifest) -> set[str]:
    return {port["name"] for port in container.get("ports", [])}


def patient(manifests: list[Manifest]) -> Problems:
    """What is told to end gets as long as it may take: a task its hard limit, requests of the web the 30 s of gunicorn."""
    for pod in pods(manifests):
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        words = [word for container in pod.spec["containers"] for word in container["command"]]
        if {"worker", "run_weekly"} & set(words) and grace < settings.CELERY_TASK_TIME_LIMIT + 60:
            yield f"{pod.name} is killed in the midst of a task: {grace} s"
        for container in pod.spec["containers"] if "gunicorn" in words else []:
            waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
            if grace < waits + 30 + 5:
                yield f"{pod.name} is killed in the midst of a request: {grace} s"


def commanded(manifests: list[Manifest]) -> Problems:
    """Commands are lists, so signals come through; `manage.py` has them, with these options."""
    for pod in pods(manifests):
        for container in pod.containers:
            command = container["command"]
            if "args" in container or command[0] in ("sh", "bash"):
                yield f"{pod.name}/{container['name']} has a shell between itself and its signals"
            if command[:2] == ["python", "manage.py"]:
                yield from refused(command[2:])


def names_no_user(manifests: list[Manifest]) -> Problems:
    """OpenShift's restricted-v2 gives user and groups from the project's range, and refuses others."""
    for pod in pods(manifests):
        yield from _identities(pod)


def names_the_image_s_user(manifests: list[Manifest]) -> Problems:
    """Where the cluster gives none: the image's own user, and a group for the volumes."""
    for pod in pods(manifests):
        context = pod.spec["securityContext"]
        if [context.get(name) for name in IDENTITIES] != [1001, 0, 1001, None]:
            yield f"{pod.name} runs as {context}"


def _identities(pod: Pod) -> Problems:
    for where, context in [
        ("pod", pod.spec["securityContext"]),
        *((c["name"], c["securityContext"]) for c in pod.containers),
    ]:
        yield from (f"{pod.name}/{where} names {name}" for name in IDENTITIES if name in context)
