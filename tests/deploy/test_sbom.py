"""The bill of materials names what the image installs: each package with its version and the hashes of its lock."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)


def test_the_bill_of_materials_has_every_locked_package_with_its_hashes(tmp_path: Path) -> None:
    recipe = re.search(r"^\t\$\(BIN\)/cyclonedx-py (.*\\\n.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert recipe is not None
    words = recipe[1].replace("\\\n", " ").split()
    words[words.index("-o") + 1] = str(tmp_path / "sbom.json")
    subprocess.run(
        [str(Path(sys.executable).parent / "cyclonedx-py"), *words], cwd=ROOT, check=True, capture_output=True
    )

    made = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements-extras.txt").read_text(encoding="utf-8")
    assert made["bomFormat"] == "CycloneDX"
    assert made["metadata"]["component"]["name"] == "marketspine"
    named = {(part["name"], part["version"]) for part in made["components"]}
    assert named == set(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", lock, re.M))
    hashes = {
        digest["content"]
        for part in made["components"]
        for reference in part["externalReferences"]
        for digest in reference.get("hashes", [])
    }
    assert hashes == set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))
