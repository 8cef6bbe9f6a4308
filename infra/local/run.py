"""One command between `up` and `down`: a place and a command in, the command's exit code out.

However the command ends, also by Ctrl-C or SIGTERM, the services are stopped.
"""

import os
import signal
import subprocess
from collections.abc import Collection
from types import FrameType

from infra.local import stack
from infra.local.environment import variables
from infra.local.place import FOLDER_VARIABLE, LocalServiceError, Place


def run(place: Place, command: list[str], *, shown: Collection[str] | None, wiped: bool) -> int:
    """`shown` names the variables that the command gets to see; None is all of them."""
    if not command:
        raise LocalServiceError("name a command to run")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        stack.up(place)
        told = {name: value for name, value in variables(place).items() if shown is None or name in shown}
        return _wait_for(command, os.environ | told | {FOLDER_VARIABLE: str(place.folder)})
    finally:
        _on_signals(None)
        stack.down(place, wiped=wiped)


def _wait_for(command: list[str], environment: dict[str, str]) -> int:
    process = subprocess.Popen(command, env=environment)
    _on_signals(process)
    code = process.wait()
    return code if code >= 0 else 128 - code


def _on_signals(process: "subprocess.Popen[bytes] | None") -> None:
    """Pass SIGTERM on. A terminal sends Ctrl-C to the command itself: here it only must not end us."""

    def receive(number: int, _frame: FrameType | None) -> None:
        if process is not None and number != signal.SIGINT:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, receive)
