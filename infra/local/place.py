"""Where one instance of the services lives: a folder in, the paths, ports and secret kept there out.

Two instances (a developer's and the test-suite's) differ by their folder only.
"""

import fcntl
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".local" / "jars"
FOLDER_VARIABLE = "PENSTOCK_LOCAL_DIR"


class LocalServiceError(Exception):
    """A service cannot run here; the message says what to do about it."""


@dataclass(frozen=True)
class Place:
    """The folder of one instance."""

    folder: Path

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def ports_file(self) -> Path:
        return self.folder / "ports.json"

    @property
    def secret_file(self) -> Path:
        return self.folder / "secret"

    def home(self, service: str) -> Path:
        """Data and configuration of a service."""
        return self.folder / service

    def log(self, service: str) -> Path:
        return self.folder / "logs" / f"{service}.log"

    def pid_file(self, service: str) -> Path:
        return self.folder / f"{service}.pid"


def place_from_environment() -> Place:
    named = os.environ.get(FOLDER_VARIABLE)
    return Place(Path(named).resolve() if named else ROOT / ".local")


@contextmanager
def only_one(place: Place) -> Iterator[None]:
    """Two commands on the same folder take turns."""
    place.folder.mkdir(parents=True, exist_ok=True)
    with (place.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remembered_ports(place: Place) -> dict[str, list[int]]:
    if not place.ports_file.exists():
        return {}
    ports: dict[str, list[int]] = json.loads(place.ports_file.read_text())
    return ports


def settle_ports(place: Place, wanted: dict[str, tuple[int, ...]]) -> dict[str, list[int]]:
    """Ports for what is about to start: the remembered ones if they are still free, else the next free.

    `wanted` maps a name to its first choices. Names that are not in it keep what they have.
    """
    ports = remembered_ports(place)
    for name, first_choices in wanted.items():
        before = ports.get(name, [])
        taken = {port for other, those in ports.items() if other != name for port in those}
        if len(before) == len(first_choices) and all(is_free(port) for port in before):
            continue
        ports[name] = []
        for first in first_choices:
            ports[name].append(next_free(first, taken | set(ports[name])))
    write_whole(place.ports_file, json.dumps(ports, indent=2) + "\n")
    return ports


def next_free(first: int, taken: set[int]) -> int:
    for port in range(first, first + 1000):
        if port not in taken and is_free(port):
            return port
    raise LocalServiceError(f"no port is free between {first} and {first + 999}; stop what holds them")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def secret_of(place: Place) -> str:
    """The instance's PENSTOCK_SECRET, made once: event hashes depend on it."""
    if not place.secret_file.exists():
        write_whole(place.secret_file, secrets.token_hex(32) + "\n")
    return place.secret_file.read_text().strip()


def write_whole(path: Path, text: str) -> None:
    """Readers see the old text or the new one, never half; for the owner's eyes only."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def wipe(place: Place) -> None:
    """Remove data, ports and secret. Logs and downloaded jars stay."""
    for home in ("postgres", "redis", "kafka"):
        path = place.home(home)
        shutil.rmtree(path.resolve(), ignore_errors=True)  # may lie elsewhere: see postgres.py
        path.unlink(missing_ok=True)
    for path in (place.env_file, place.ports_file, place.secret_file):
        path.unlink(missing_ok=True)
