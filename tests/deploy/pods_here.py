"""Pods as processes of this machine: their commands, environments, volumes and probes, as a kubelet would have them.

There is no cluster in a test. What a manifest says of a container is done to a process all the same: the root is only
read, /tmp is its own, the volumes are where they are mounted, the user is one of OpenShift's (container.sh).
"""

from __future__ import annotations

import http.client
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.containers.composing import DOCKERFILE, make_app
from tests.deploy.confinement import no_containers
from tests.deploy.kustomizing import Manifest, Pod, of_kind, pods

USER_ID = 1_000_680_000  # of the range that OpenShift gives a project
SCRIPT = Path(__file__).parent / "container.sh"
IN_IMAGE = re.compile(r"^\s+(?:ENV )?([A-Z_]+)=(\S+?)(?: \\)?$", re.M)
OWN_TO_THE_TEST = ("PATH", "PYTHONPATH")


@dataclass
class Cluster:
    """The manifests, what they mount, and what runs."""

    folder: Path
    manifests: list[Manifest]
    secrets: dict[str, str]
    overridden: dict[str, str] = field(default_factory=dict)
    mounted: dict[str, Path] = field(default_factory=dict)
    port: int = 8000
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The image, the secrets and the claims, as they are when the pods come; the test is skipped where none can."""
        if refused := no_containers():
            pytest.skip(refused)
        self.app = make_app(self.folder)
        self._of_the_project(self.folder / "secrets")
        for name, secret in self.secrets.items():
            path = self.folder / "secrets" / name
            path.write_text(secret, encoding="utf-8")
            path.chmod(0o440)
            os.chown(path, 0, USER_ID)
        for claim in of_kind(self.manifests, "PersistentVolumeClaim"):
            self._of_the_project(self.claim(claim["metadata"]["name"]))

    def claim(self, name: str) -> Path:
        """The folder of a claim."""
        return self.folder / "claims" / name

    def pod(self, name: str) -> Pod:
        """The pod of the workload whose name ends so."""
        (found,) = [pod for pod in pods(self.manifests) if pod.name.endswith(name)]
        return found

    def run(self, name: str) -> int:
        """Run a Job, or a CronJob once, container after container: the exit code of the first that fails, or 0."""
        for number, container in enumerate(self.pod(name).containers):
            process = self._start(f"{name}.{number}", self.pod(name), container)
            if code := process.wait(120):
                return code
        return 0

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a Deployment's pod: what comes first ends well, then the container runs."""
        pod = self.pod(name)
        for number, container in enumerate(pod.spec.get("initContainers", [])):
            assert self._start(f"{name}.{number}", pod, container).wait(120) == 0, self.told()
        self.running[name] = self._start(name, pod, pod.spec["containers"][0])
        return self.running[name]

    def probe(self, name: str, which: str) -> bool:
        """What a probe of the pod says now."""
        container = self.pod(name).spec["containers"][0]
        asked = container[which]
        if "exec" not in asked:
            return self._answers(asked["httpGet"]["path"])
        entered = ["nsenter", "--target", str(self.running[name].pid), "--mount", "--root", "--wd"]
        own = ["setpriv", "--reuid", str(USER_ID), "--regid", "0", "--clear-groups"]
        command = [*entered, *own, "env", "-i", *self._environment(container), *asked["exec"]["command"]]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def told(self) -> str:
        """What the containers have logged."""
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """End what still runs."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def _start(self, label: str, pod: Pod, container: Manifest) -> subprocess.Popen[bytes]:
        root = self.folder / "roots" / label
        root.mkdir(parents=True)
        mounts = [word for mount in self._mounts(pod, container) for word in mount]
        inside = ["env", "--chdir=/app", "-i", *self._environment(container), *self._command(container)]
        outside = ["unshare", "--mount", "--propagation", "private", "sh", str(SCRIPT), str(root), *mounts, "--"]
        with (self.folder / f"{label}.log").open("wb") as log:
            return subprocess.Popen(
                [*outside, *inside], env={**os.environ, "USER_ID": f"{USER_ID}"}, stdout=log, stderr=log
            )

    def _mounts(self, pod: Pod, container: Manifest) -> Iterator[tuple[str, str, str]]:
        """The image, with the Python that the tests have, and the volumes: (ro or rw, from, to)."""
        for path in dict.fromkeys(("/usr", "/etc", sys.base_prefix, os.path.realpath(sys.prefix))):
            yield "ro", path, path
        yield "ro", str(self.app), "/app"
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "secret" in volume:
                yield "ro", str(self.folder / "secrets"), mount["mountPath"]
            elif "persistentVolumeClaim" in volume:
                yield "rw", str(self.claim(volume["persistentVolumeClaim"]["claimName"])), mount["mountPath"]
        yield from (("ro", str(path), to) for to, path in self.mounted.items())

    def _environment(self, container: Manifest) -> list[str]:
        """The image's, the map's, its own, in this order; and nothing of the test's but where its Python is."""
        image = dict(IN_IMAGE.findall(DOCKERFILE.read_text(encoding="utf-8").split("\nFROM ")[-1]))
        maps = {item["metadata"]["name"]: item["data"] for item in of_kind(self.manifests, "ConfigMap")}
        given = {
            key: value for source in container["envFrom"] for key, value in maps[source["configMapRef"]["name"]].items()
        }
        own = {entry["name"]: entry.get("value") or _cores(container) for entry in container.get("env", [])}
        path = {"PATH": f"{Path(os.path.realpath(sys.prefix)) / 'bin'}:/usr/bin:/bin"}
        return [f"{key}={value}" for key, value in (image | given | own | self.overridden | path).items()]

    def _command(self, container: Manifest) -> list[str]:
        return [word.replace("0.0.0.0:8000", f"127.0.0.1:{self.port}") for word in container["command"]]

    def _answers(self, path: str) -> bool:
        """As a kubelet asks: by the pod's address, which is none of ALLOWED_HOSTS."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": f"10.128.2.17:{self.port}"})
            return 200 <= connection.getresponse().status < 400
        except OSError:
            return False
        finally:
            connection.close()

    @staticmethod
    def _of_the_project(folder: Path) -> None:
        """A volume as the kubelet hands it over: of the project's group, which may write."""
        folder.mkdir(parents=True)
        os.chown(folder, 0, USER_ID)
        folder.chmod(0o2775)


def _cores(container: Manifest) -> str:
    """`resourceFieldRef: requests.cpu`, in whole cores, rounded up."""
    asked = str(container["resources"]["requests"]["cpu"])
    return str(math.ceil(int(asked.removesuffix("m")) / 1000) if asked.endswith("m") else int(asked))
