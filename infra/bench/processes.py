"""Penstock's processes, started by its command line: roles and an environment in, running processes out.

Linux only: CPU time is read from /proc, summed over all that a process started.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PENSTOCK: Final = Path(sys.executable).parent / "penstock"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 40.0
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something that is needed is not as it should be; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Process:
    """One `penstock serve ROLE`, which leads a session of its own; `port` answers for its health."""

    role: str
    popen: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def cpu_seconds(self) -> float:
        """What it and all that it started have used so far; of what has ended, only what was waited for."""
        return sum(_ticks(path, self.popen.pid) for path in Path("/proc").glob("[0-9]*")) / _TICKS_PER_SECOND

    def wait_until_ready(self) -> None:
        """Raises BenchError when it ends, or is not ready in time."""
        path = "healthz" if self.role == "simulator" else "readyz"
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(f"http://127.0.0.1:{self.port}/{path}"):
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise BenchError(
                    f"penstock serve {self.role} did not get ready:\n{self.log.read_text()[-2000:]}"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()


@contextmanager
def serving(
    roles: Mapping[str, int], environment: Mapping[str, str], folder: Path
) -> Iterator[dict[str, Process]]:
    """Run `penstock serve` in these roles, each on its port, logs in `folder`; all end with the block."""
    running: dict[str, Process] = {}
    try:
        for role, port in roles.items():
            running[role] = _start(role, port, environment, folder)
        for process in running.values():
            process.wait_until_ready()
        yield running
    finally:
        for process in running.values():
            process.stop()


def penstock(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run one command to its end; raises BenchError with what it said when it fails."""
    done = subprocess.run([PENSTOCK, *arguments], env=environment, capture_output=True, check=False)
    if done.returncode:
        raise BenchError(f"penstock {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(role: str, port: int, environment: Mapping[str, str], folder: Path) -> Process:
    log = folder / f"{role}.log"
    with log.open("wb") as file:
        popen = subprocess.Popen(
            [PENSTOCK, "serve", role],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**environment, "PENSTOCK_METRICS__PORT": str(port)},
            start_new_session=True,
        )
    return Process(role, popen, port, log)


def _ticks(folder: Path, session: int) -> int:
    """A process's own ticks and those of the children it waited for; 0 when it is of another session."""
    try:
        # The name in parentheses may hold anything; what is after the last one is numbers.
        fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0
    return sum(int(ticks) for ticks in fields[11:15]) if int(fields[3]) == session else 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own process
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
