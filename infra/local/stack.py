"""The three services together: a place in, all of them healthy, or stopped, or described out."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from infra.local import daemon, programs, service
from infra.local.environment import OTHER_PORTS, write_env
from infra.local.kafka import KAFKA
from infra.local.place import Place, only_one, remembered_ports, settle_ports, wipe
from infra.local.postgres import POSTGRES
from infra.local.redis import REDIS
from infra.local.service import Service

SERVICES = {each.name: each for each in (POSTGRES, REDIS, KAFKA)}
ALL = tuple(SERVICES)
Result = TypeVar("Result")
State = Literal["up", "down", "does not answer"]


@dataclass(frozen=True)
class Status:
    """One service as it is now."""

    name: str
    state: State
    address: str
    pid: int | None
    log: Path


def up(place: Place, names: Iterable[str] = ALL) -> None:
    """Start those that are not healthy, at the same time. May be called again at any moment."""
    with only_one(place):
        wanted = [SERVICES[name] for name in names]
        health = _each(wanted, place, service.healthy)
        ill = [each for each, well in zip(wanted, health, strict=True) if not well]
        if ill:
            programs.require()
            settle_ports(place, _ports_to_settle(ill, place))
            _each(ill, place, service.start)
        complete = set(ALL) | set(OTHER_PORTS) <= set(remembered_ports(place))
        if complete and (ill or not place.env_file.exists()):
            write_env(place)


def down(place: Place, names: Iterable[str] = ALL, *, wiped: bool = False) -> None:
    """Stop them. Data stays unless it is to be wiped."""
    if not place.folder.exists():
        return
    with only_one(place):
        _each([SERVICES[name] for name in names], place, service.stop)
        if wiped:
            wipe(place)


def status(place: Place) -> list[Status]:
    services = list(SERVICES.values())
    health = _each(services, place, service.healthy)
    return [_status(each, place, well=well) for each, well in zip(services, health, strict=True)]


def _status(each: Service, place: Place, *, well: bool) -> Status:
    pid = daemon.alive(place.pid_file(each.name))
    ports = remembered_ports(place).get(each.name)
    address = f"127.0.0.1:{ports[0]}" if ports else "no port yet"
    state: State = "up" if well else "down" if pid is None else "does not answer"
    return Status(each.name, state, address, pid, place.log(each.name))


def _ports_to_settle(ill: list[Service], place: Place) -> dict[str, tuple[int, ...]]:
    """Only a stack that stands still may move the ports that Penstock's own processes listen on."""
    wanted = {each.name: each.first_ports for each in ill if daemon.alive(place.pid_file(each.name)) is None}
    if len(wanted) == len(SERVICES):
        wanted |= OTHER_PORTS
    missing = {name: first for name, first in OTHER_PORTS.items() if name not in remembered_ports(place)}
    return wanted | missing


def _each(services: Sequence[Service], place: Place, act: Callable[[Service, Place], Result]) -> list[Result]:
    with ThreadPoolExecutor(len(ALL)) as threads:
        return list(threads.map(lambda each: act(each, place), services))
