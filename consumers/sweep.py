"""Overdue work in, doorbells out: `penstock serve sweep`. What lost its bell is rung again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from infra.logs import logger
from infra.settings import SweepSettings
from infra.store import SqlStore
from pipeline.catalogue import Catalogue
from pipeline.errors import StoreUnavailable

log = logger()


@dataclass
class Sweep:
    """Rings every lane that has due work: retries, lost bells, leases of the dead."""

    store: SqlStore
    catalogue: Catalogue
    settings: SweepSettings
    ring: Callable[[str], None]

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`. Any number of sweeps may run: a bell too many finds nothing to do."""
        lanes = sorted(self.catalogue.by_name)
        while not stop.is_set():
            try:
                for lane in await self.store.due_lanes(lanes):
                    self.ring(lane)
            except StoreUnavailable as error:
                log.warning("store.unavailable", error=error)
            await asyncio.sleep(self.settings.look_seconds)
