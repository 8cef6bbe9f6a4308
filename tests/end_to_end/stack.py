"""One deployment of real processes: settings in; processes with logs, rows and messages to look at out.

It has a database, a consumer group and a Redis number of its own, and sees only what came after it began.
"""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from tests.end_to_end import kcat, places, web
from tests.end_to_end.kcat import Message
from tests.end_to_end.places import Place
from tests.end_to_end.process import Process, free_port

PENSTOCK: Final = Path(sys.executable).with_name("penstock")
#: Where the package `acme` of the tests is found.
SITE: Final = Path(__file__).with_name("site")
AUDIT: Final = "audit.records.v1"

_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1

R = TypeVar("R")


@dataclass
class Stack:
    """What a test works with. `begin` starts its count anew."""

    folder: Path
    database_url: str
    settings: Mapping[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    simulator_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    group: str = field(default_factory=lambda: f"end-to-end-{secrets.token_hex(6)}")
    _since: Mapping[Place, int] = field(default_factory=dict)
    _accepted: int = 0

    def __post_init__(self) -> None:
        self.environment = {**_environment(self), **self.settings}
        self.servers = self.environment["PENSTOCK_KAFKA__BOOTSTRAP_SERVERS"]
        self.run("db", "upgrade")
        self.run("topics", "create")
        places.begin_at(self.servers, self.group, places.ends(self.servers))
        self.begin()

    # Processes.

    def start(self, role: str, **settings: str) -> Process:
        """`penstock serve ROLE`, ready to work."""
        return self.start_all([role], **settings)[0]

    def start_all(self, roles: Iterable[str], **settings: str) -> list[Process]:
        """The same for several at once."""
        started = [self._spawn(role, settings) for role in roles]
        for process in started:
            self.wait_for(
                partial(getattr, process, "is_ready"), f"{process.name} to be ready", _START_SECONDS
            )
        return started

    def ensure(self, *roles: str) -> None:
        """Start those that do not run."""
        self.start_all(role for role in roles if not self.serving(role))

    def serving(self, role: str) -> list[Process]:
        """The processes that run in this role."""
        return [process for process in self.processes if process.role == role and process.is_running]

    def kill(self, role: str) -> None:
        for process in self.serving(role):
            process.kill()

    def _spawn(self, role: str, settings: Mapping[str, str]) -> Process:
        port = self.simulator_port if role == "simulator" else free_port()
        environment = {**self.environment, **settings, "PENSTOCK_METRICS__PORT": str(port)}
        name = f"{role}-{len(self.processes)}"
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [PENSTOCK, "serve", role],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )
        process = Process(role, name, popen, log, port)
        self.processes.append(process)
        return process

    def run(self, *arguments: str, stdin: str = "") -> str:
        """One `penstock` command that must succeed; returns what it printed."""
        done = subprocess.run(
            [PENSTOCK, *arguments],
            input=stdin.encode(),
            capture_output=True,
            env=self.environment,
            cwd=self.folder,
            timeout=60,
        )
        told = f"penstock {' '.join(arguments)}: {done.returncode}\n{done.stderr.decode()}"
        assert done.returncode == 0, told + done.stdout.decode()
        return done.stdout.decode()

    def close(self) -> None:
        for process in self.processes:
            if process.is_running:
                process.kill()

    def tails(self) -> str:
        """The end of every process's log."""
        return "\n".join(process.tail() for process in self.processes)

    # The model.

    def script(self, *rules: Mapping[str, Any]) -> None:
        """Have the simulator follow these rules and no others."""
        forgotten, _ = web.call(self.simulator_port, "/script", method="DELETE")
        added, told = web.call_json(self.simulator_port, "/script", {"rules": rules})
        assert (forgotten, added) == (204, 200), told

    # Events, messages, rows.

    def begin(self) -> None:
        """Count from here: what is there now belongs to an earlier test."""
        self._since = places.ends(self.servers)
        self._accepted = self.count("SELECT count(*) FROM event")

    def send(
        self,
        topic: str,
        events: Sequence[tuple[str, Mapping[str, Any]]],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keys and JSON values to a topic, by kcat."""
        kcat.produce(self.servers, topic, events, headers)

    def messages(self, topic: str) -> list[Message]:
        """What a topic got since the beginning, by kcat."""
        return [
            message
            for message in kcat.read(self.servers, topic)
            if message.offset >= self._since.get((topic, message.partition), 0)
        ]

    def new_on(self, topic: str) -> int:
        """How many messages a topic got since the beginning."""
        now = places.ends(self.servers)
        return sum(at - self._since.get(place, 0) for place, at in now.items() if place[0] == topic)

    def connect(self) -> "psycopg.Connection[dict[str, Any]]":
        """A transaction on the database, as a context."""
        url = self.database_url.replace("+psycopg", "", 1)
        return psycopg.connect(url, row_factory=dict_row)

    def rows(self, query: LiteralString, *values: Any) -> list[dict[str, Any]]:
        with self.connect() as connection:
            return connection.execute(query, values).fetchall()

    def count(self, query: LiteralString, *values: Any) -> int:
        """The one number that a query gives."""
        (row,) = self.rows(query, *values)
        (number,) = row.values()
        return int(number)

    @property
    def stats(self) -> dict[str, Any]:
        """`penstock stats`, which must add up."""
        found: dict[str, Any] = json.loads(self.run("stats", "--json"))
        assert found["balanced"], found
        return found

    # Waiting.

    def wait_for(self, condition: Callable[[], R], what: str, seconds: float = 30.0) -> R:
        """What `condition` gives, once that is true; fails with the logs after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{self.tails()}"
            time.sleep(_POLL_SECONDS)

    def wait_until_accepted(self, number: int, seconds: float = 30.0) -> None:
        """Wait for this many events since the beginning."""

        def accepted() -> bool:
            return self.count("SELECT count(*) FROM event") - self._accepted >= number

        self.wait_for(accepted, f"{number} events to be accepted", seconds)

    def wait_until_done(self, number: int, seconds: float = 60.0) -> None:
        """Wait until this many events have come since the beginning, all have ended and all is published."""
        self.wait_until_accepted(number, seconds)
        self.wait_for(lambda: self.count("SELECT count(*) FROM work") == 0, "all events to end", seconds)
        unpublished: LiteralString = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
        self.wait_for(lambda: self.count(unpublished) == 0, "all messages to be published", seconds)
        assert self.count("SELECT count(*) FROM event") - self._accepted == number


def _environment(stack: Stack) -> dict[str, str]:
    """Nothing of the caller's settings but the services' addresses."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "PYTHON"))}
    redis = os.environ["PENSTOCK_REDIS__URL"].rpartition("/")[0]
    model = f"http://127.0.0.1:{stack.simulator_port}/v1"
    ours |= {
        "PYTHONPATH": str(SITE),
        "PENSTOCK_DATABASE__URL": stack.database_url,
        "PENSTOCK_REDIS__URL": f"{redis}/{1 + secrets.randbelow(15)}",
        "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": os.environ["PENSTOCK_KAFKA__BOOTSTRAP_SERVERS"],
        "PENSTOCK_KAFKA__GROUP": stack.group,
        "PENSTOCK_SECRET": "the secret of the end-to-end tests",
        "PENSTOCK_AUDIT__KEY": f"end-to-end.example/log:{secrets.token_hex(32)}",
        "PENSTOCK_SIMULATOR__PORT": str(stack.simulator_port),
        "PENSTOCK_API__PORT": str(stack.api_port),
    }
    for alias in ("FAST", "STRONG"):
        ours[f"PENSTOCK_MODELS__{alias}__BASE_URL"] = model
        ours[f"PENSTOCK_MODELS__{alias}__MODEL"] = f"simulated-{alias.lower()}"
        ours[f"PENSTOCK_MODELS__{alias}__API_KEY"] = "simulated"
    return ours
