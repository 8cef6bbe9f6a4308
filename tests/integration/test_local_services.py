"""The bare-machine services, as far as they can be tried without the services' programs."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local import daemon
from infra.local.place import Place, remembered_ports, secret_of, settle_ports

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)
STUBBORN = [sys.executable, "-c", DEAF]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def spawn(command: list[str], place: Place) -> int:
    launch = daemon.Launch(command, folder=place.folder)
    daemon.spawn(launch, pid_file=place.pid_file("it"), log=place.log("it"))
    pid = daemon.alive(place.pid_file("it"))
    assert pid is not None
    return pid


def test_a_port_that_was_chosen_once_is_kept(place: Place) -> None:
    first = settle_ports(place, {"redis": (23500,), "kafka": (23500, 23500)})

    again = settle_ports(place, {"redis": (23600,), "kafka": (23600, 23600)})

    assert again == first == remembered_ports(place)
    assert len({port for ports in first.values() for port in ports}) == 3


def test_a_port_taken_by_somebody_else_is_left_for_the_next_free_one(place: Place) -> None:
    port = settle_ports(place, {"redis": (23700,)})["redis"][0]

    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", port))
        somebody.listen()
        moved = settle_ports(place, {"redis": (23700,)})["redis"][0]

    assert moved > port


def test_the_secret_survives_a_restart(place: Place) -> None:
    assert secret_of(place) == secret_of(Place(place.folder))
    assert place.secret_file.stat().st_mode & 0o077 == 0


def test_a_process_that_was_killed_is_not_alive(place: Place) -> None:
    pid = spawn(SLEEPER, place)

    os.kill(pid, signal.SIGKILL)
    daemon.stop(place.pid_file("it"), ask=signal.SIGTERM, patience_seconds=5)

    assert daemon.alive(place.pid_file("it")) is None


def test_a_pid_that_belongs_to_another_process_by_now_is_not_alive(place: Place) -> None:
    place.pid_file("it").write_text(f"{os.getpid()} 1\n")

    assert daemon.alive(place.pid_file("it")) is None


def test_a_process_deaf_to_the_polite_signal_is_killed(place: Place) -> None:
    spawn(STUBBORN, place)
    while not place.log("it").read_text():
        time.sleep(0.01)  # until it no longer hears

    daemon.stop(place.pid_file("it"), ask=signal.SIGTERM, patience_seconds=0.2)

    assert daemon.alive(place.pid_file("it")) is None


def test_missing_programs_are_named_in_one_sentence(place: Place, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(shutil.which("python3") or sys.executable)

    tried = subprocess.run(
        [sys.executable, "-m", "infra.local", "up"],
        env={"PATH": str(programs), "PENSTOCK_LOCAL_DIR": str(place.folder)},
        capture_output=True,
        text=True,
    )

    assert tried.returncode == 1
    assert "redis-server kcat default-jre-headless" in tried.stderr
    assert "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS" in tried.stderr
    assert tried.stderr.count("\n") == 1
