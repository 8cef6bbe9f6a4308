"""The relay: a topic that takes nothing rests, the others go on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from consumers.relay import Relay
from infra.metrics import Metrics
from infra.store import SqlStore
from pipeline.ports import Placed
from schemas.changeset import OutboxMessage


def message(topic: str) -> OutboxMessage:
    return OutboxMessage(id=uuid4(), topic=topic, key=b"k", value=b"{}", headers={})


@dataclass
class Outbox:
    """An outbox and a broker that lacks a topic."""

    waiting: list[OutboxMessage]
    missing: str
    asked: list[set[str]] = field(default_factory=list)

    async def unpublished(self, *, limit: int, without: Collection[str] = ()) -> list[OutboxMessage]:
        self.asked.append(set(without))
        return [one for one in self.waiting if one.topic not in without][:limit]

    async def published(self, placed: Sequence[Placed]) -> None:
        done = {row.id for row in placed}
        self.waiting = [one for one in self.waiting if one.id not in done]

    async def publish(self, messages: Sequence[OutboxMessage]) -> list[Placed]:
        return [Placed(one.id, 0, 0) for one in messages if one.topic != self.missing]

    async def acquire(self) -> bool:
        return True

    async def release(self) -> None:
        return None


async def test_a_missing_topic_does_not_hold_the_others_up() -> None:
    outbox = Outbox([message("missing"), *(message("good") for _ in range(3))], missing="missing")
    relay = Relay(cast(SqlStore, outbox), outbox, outbox, Metrics())

    await relay._turn()
    outbox.waiting.append(message("good"))
    await relay._turn()

    assert [one.topic for one in outbox.waiting] == ["missing"]
    assert outbox.asked == [set(), {"missing"}]
