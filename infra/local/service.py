"""What the three services have in common: a description of one in, that one running or stopped out."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.local import daemon
from infra.local.daemon import Launch
from infra.local.place import LocalServiceError, Place, remembered_ports

START_SECONDS = 90.0
# A server killed a moment ago may still hold its port or its shared memory.
PAUSES_SECONDS = (0.5, 1.0, 2.0, 0.0)


@dataclass(frozen=True)
class Service:
    """One server program. `launch` prepares its folder; `answers` speaks its protocol."""

    name: str
    first_ports: tuple[int, ...]
    launch: Callable[[Place, list[int]], Launch]
    answers: Callable[[list[int]], bool]
    polite_signal: signal.Signals = signal.SIGTERM


def healthy(service: Service, place: Place) -> bool:
    ports = remembered_ports(place).get(service.name)
    if not ports or daemon.alive(place.pid_file(service.name)) is None:
        return False
    return service.answers(ports)


def start(service: Service, place: Place) -> None:
    """Return when it answers. One that runs without answering is given its time, then replaced."""
    pid_file = place.pid_file(service.name)
    for pause in PAUSES_SECONDS:
        if daemon.alive(pid_file) is None:
            _spawn(service, place)
        if _answers_in_time(service, place):
            return
        stop(service, place)
        time.sleep(pause)
    log = place.log(service.name)
    raise LocalServiceError(f"{service.name} does not start; the end of {log}:\n{daemon.last_lines(log, 15)}")


def stop(service: Service, place: Place) -> None:
    daemon.stop(place.pid_file(service.name), ask=service.polite_signal, patience_seconds=30)


def _spawn(service: Service, place: Place) -> None:
    ports = remembered_ports(place)[service.name]
    launch = service.launch(place, ports)
    daemon.spawn(launch, pid_file=place.pid_file(service.name), log=place.log(service.name))


def _answers_in_time(service: Service, place: Place) -> bool:
    ports = remembered_ports(place)[service.name]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if daemon.alive(place.pid_file(service.name)) is None:
            return False
        if service.answers(ports):
            return True
        time.sleep(0.05)
    return False
