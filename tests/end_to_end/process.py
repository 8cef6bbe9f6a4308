"""One running `penstock ...`: how it is, what it started, what it said, how it ends."""

import http.client
import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.end_to_end import web

_TAIL_LINES: Final = 30


@dataclass
class Process:
    """A process that leads a process group of its own; `port` is that of its health."""

    role: str
    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path
    port: int

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    @property
    def is_ready(self) -> bool:
        """Fails when it has ended instead."""
        assert self.is_running, f"{self.name} ended with {self.popen.returncode}\n{self.tail()}"
        path = "/healthz" if self.role == "simulator" else "/readyz"
        try:
            return web.call(self.port, path)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def metrics(self) -> str:
        """What /metrics says."""
        return web.call(self.port, "/metrics")[1].decode()

    @property
    def children(self) -> list[int]:
        """The processes that it started and that still run."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, check=True)
        rows = (line.split() for line in listed.stdout.decode().splitlines())
        own = str(self.popen.pid)
        return [int(pid) for pid, parent, state in rows if parent == own and not state.startswith("Z")]

    def kill(self) -> None:
        """SIGKILL to the process and all that it started."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self, within_seconds: float = 40.0) -> int:
        """SIGTERM to the process alone; returns its exit code."""
        self.popen.terminate()
        return self.popen.wait(timeout=within_seconds)

    def tail(self) -> str:
        """The end of its log, without the lines that every event brings."""
        lines = self.log.read_text(errors="replace").splitlines()
        told = [line for line in lines if '"event.decided"' not in line]
        return "\n".join([f"--- {self.name} ({self.log})", *told[-_TAIL_LINES:]])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
