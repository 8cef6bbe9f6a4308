"""`make vendor`: the files of others that pages and tests need, from npm at the versions of versions.json.

In: that register, with the integrity of each package as npm publishes it. Out: the files in their places, and
the SHA-256 of each in the register, which a test compares with the files.
"""

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

from infra.local.place import LocalServiceError

ROOT: Final = Path(__file__).resolve().parents[2]
REGISTER: Final = ROOT / "consumers/web/static/vendor/versions.json"
_NPM_SECONDS: Final = 120


def fetch_all() -> None:
    """Fetch every package anew; raises LocalServiceError for one that is not what the register says."""
    register = json.loads(REGISTER.read_text("utf-8"))
    for entry in register:
        with tempfile.TemporaryDirectory() as folder:
            archive = _pack(entry, Path(folder))
            entry["sha256"] = _unpack(archive, entry["files"])
    REGISTER.write_text(json.dumps(register, indent=2) + "\n", "utf-8")


def _pack(entry: dict[str, Any], folder: Path) -> Path:
    named = f"{entry['package']}@{entry['version']}"
    command = ["npm", "pack", named, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_NPM_SECONDS)
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise LocalServiceError(f"npm pack {named} failed: {done.stderr.strip()[:500]}")
    digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if f"sha512-{digest}" != entry["integrity"]:
        raise LocalServiceError(f"{named} is not the package that versions.json names: sha512-{digest}")
    return archives[0]


def _unpack(archive: Path, files: dict[str, str]) -> dict[str, str]:
    """Write the files to their places; their SHA-256 by place."""
    digests = {}
    with tarfile.open(archive) as members:
        for member, place in files.items():
            found = members.extractfile(f"package/{member}")
            if found is None:
                raise LocalServiceError(f"{archive.name} has no file {member}")
            body = found.read()
            (ROOT / place).write_bytes(body)
            digests[place] = hashlib.sha256(body).hexdigest()
    return digests


if __name__ == "__main__":
    fetch_all()
