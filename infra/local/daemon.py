"""A process that outlives the command that started it: start, is it alive, stop.

A pid file holds the pid and the time its process started, because pids are used again.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.place import LocalServiceError

LOG_LIMIT_BYTES = 10_000_000


@dataclass(frozen=True)
class Launch:
    """How to start a service: its command, and as whom and where it runs."""

    command: list[str]
    folder: Path
    user: str | None = None
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))


def spawn(launch: Launch, *, pid_file: Path, log: Path) -> None:
    """Start the process in a session of its own, its output appended to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            launch.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=launch.folder,
            env=launch.environment,
            start_new_session=True,
            user=launch.user,
            group=launch.user,
            extra_groups=[] if launch.user else None,
        )
    pid_file.write_text(f"{process.pid} {started_at(process.pid)}\n")
    process.returncode = 0  # it is meant to go on: without this, Python warns of a child left running


def alive(pid_file: Path) -> int | None:
    """The pid, when the process that the file names still runs."""
    if not pid_file.exists():
        return None
    pid, _, started = pid_file.read_text().strip().partition(" ")
    return int(pid) if pid.isdigit() and started and started_at(int(pid)) == started else None


def stop(pid_file: Path, *, ask: signal.Signals, patience_seconds: float) -> None:
    """Ask, wait, then kill. A process that is gone already is fine."""
    pid = alive(pid_file)
    if pid is not None:
        _send(pid, ask)
        if not _wait_until_gone(pid_file, patience_seconds):
            _send(pid, signal.SIGKILL)
            if not _wait_until_gone(pid_file, patience_seconds):
                raise LocalServiceError(f"process {pid} does not end, not even by SIGKILL")
    pid_file.unlink(missing_ok=True)


def started_at(pid: int) -> str:
    """When the process started, in the system's own words; empty for one that is gone or a zombie.

    Zombies are usual in containers whose first process does not reap.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()  # the name before may hold spaces
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if fields[0] == "Z" else fields[19]
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, started = shown.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else "-".join(started.split())


def last_lines(log: Path, count: int) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line}" for line in lines[-count:])


def _send(pid: int, what: signal.Signals) -> None:
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return


def _wait_until_gone(pid_file: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid_file) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
