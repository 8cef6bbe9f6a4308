"""Fair shares of a process's slots: which lane may claim how many events now."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Slots:
    """The slots of one process and who holds them.

    `total` events are in flight at most, `per_lane` of one lane. A free slot goes to the due lane
    with the fewest in flight: max-min fairness, one slot at a time.
    """

    total: int
    per_lane: int
    held: dict[str, int] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return self.total - sum(self.held.values())

    def share(self, lane: str, due: Iterable[str]) -> int:
        """How many events `lane` may claim now, while the lanes in `due` want slots too."""
        planned = {name: self.held.get(name, 0) for name in {*due, lane}}
        granted = 0
        for _ in range(self.free):
            wanting = [name for name, count in planned.items() if count < self.per_lane]
            if not wanting:
                break
            poorest = min(wanting, key=lambda name: (planned[name], name != lane))
            planned[poorest] += 1
            granted += poorest == lane
        return granted

    def take(self, lane: str, count: int = 1) -> None:
        self.held[lane] = self.held.get(lane, 0) + count

    def give_back(self, lane: str, count: int = 1) -> None:
        self.held[lane] -= count
