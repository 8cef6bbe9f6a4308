"""Ends a process whose loop stands still: what blocks it, such as a policy, also stops its leases."""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from infra.logs import logger

log = logger()

#: The exit code of a process that was stuck (EX_SOFTWARE of sysexits.h).
EXIT_STUCK: Final = 70


@dataclass
class Watchdog:
    """A thread that looks whether `turn`, a task on the loop, still turns."""

    limit_seconds: float
    _turned: float = field(default_factory=time.monotonic)
    _stopped: bool = False

    async def turn(self) -> None:
        """Run on the loop that is watched, for as long as the process works."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        try:
            while True:
                self._turned = time.monotonic()
                await asyncio.sleep(min(1.0, self.limit_seconds / 4))
        finally:
            self._stopped = True

    def _watch(self) -> None:
        while not self._stopped:
            time.sleep(min(1.0, self.limit_seconds / 4))
            if time.monotonic() - self._turned > self.limit_seconds:
                faulthandler.dump_traceback(file=sys.stderr)
                log.error("process.stuck", seconds=self.limit_seconds)
                os._exit(EXIT_STUCK)
