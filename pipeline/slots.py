"""Fair shares of a process's slots: which lane may claim how many events now."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Slots:
    """The slots of one process and who holds them.

    `total` events are in flight at most, `per_lane` of one lane. A free slot goes to the due lane
    with the fewest in flight: max-min fairness, one slot at a time. Half of all slots are a bulkhead:
    each of the `lanes` keeps an equal part of that half, which no other lane may take, so that lanes
    whose calls hang cannot hold the others up.
    """

    total: int
    per_lane: int
    lanes: int
    held: dict[str, int] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return self.total - sum(self.held.values())

    @property
    def guarantee(self) -> int:
        """Slots of a lane that no other lane may take."""
        return min(self.per_lane, self.total // (2 * max(self.lanes, 1)))

    def share(self, lane: str, due: Iterable[str]) -> int:
        """How many events `lane` may claim now, while the lanes in `due` want slots too."""
        planned = {name: self.held.get(name, 0) for name in {*due, lane}}
        granted = 0
        kept = self._kept()
        for free in range(self.free, 0, -1):
            most = self.per_lane if free > kept else self.guarantee
            wanting = [name for name, count in planned.items() if count < most]
            if not wanting:
                break
            poorest = min(wanting, key=lambda name: (planned[name], name != lane))
            kept -= planned[poorest] < self.guarantee
            planned[poorest] += 1
            granted += poorest == lane
        return granted

    def take(self, lane: str, count: int = 1) -> None:
        self.held[lane] = self.held.get(lane, 0) + count

    def give_back(self, lane: str, count: int = 1) -> None:
        self.held[lane] -= count

    def _kept(self) -> int:
        """Free slots that wait for a lane below its guarantee."""
        return self.lanes * self.guarantee - sum(min(count, self.guarantee) for count in self.held.values())
