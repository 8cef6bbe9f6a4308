"""The Ledger port: over the store, and without one."""

from dataclasses import dataclass

from infra.batch import until_stored
from pipeline.claim import Claimed
from pipeline.ports import Store
from pipeline.spend import Reservation, Room


@dataclass(frozen=True, slots=True)
class StoredLedger:
    """The budgets of a deployment; waits for the database, for no call may be made unpaid."""

    store: Store

    async def reserve(self, claimed: Claimed, reservation: Reservation) -> Room:
        return await until_stored(lambda: self.store.reserve(claimed, reservation))


class NoLedger:
    """Every call may be made: where there is no database, and a person waits for the answer."""

    async def reserve(self, claimed: Claimed, reservation: Reservation) -> Room:
        return Room.GRANTED
