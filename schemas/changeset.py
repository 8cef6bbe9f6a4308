"""Everything that one decision writes, as one value: it is written whole or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.decision import REOPENED, Outcome
from schemas.event import Received
from schemas.extraction import NO_CHARGE, Charge
from schemas.kinds import RecordKind


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: the service, `token:<name>`, `user:<name>` on the web, `os:<user>@<host>` at a terminal."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Scribe:
    """Who writes, with which release of Penstock, and how large a message may be."""

    actor: Actor
    release: str
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """RFC 8785 bytes and their leaf hash; the other fields are copies, for looking things up.

    `code` is the stable reason of a decision, `model` the one whose answer it rests on, `took_ms` the time of
    its calls together, `words` what `pipeline.lookup` makes of the record. Commit time is not in it: when the
    record was sealed says that.
    """

    id: UUID
    kind: RecordKind
    canonical: bytes
    leaf: bytes
    occurred_at: datetime
    actor: Actor
    event_id: UUID | None = None
    revision: int | None = None
    workflow: str | None = None
    version: str | None = None
    outcome: str | None = None
    code: str | None = None
    model: str | None = None
    cost_micros: int | None = None
    took_ms: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message to publish; `id` is its `ce_id` and the key by which a receiver drops a repeat."""

    id: UUID
    topic: str
    key: bytes
    value: bytes
    headers: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes that count against the broker's limit: key, value and headers, and the record's frame."""
        headers = sum(len(name) + len(value.encode()) + 10 for name, value in self.headers.items())
        return len(self.key) + len(self.value) + headers + 100


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A question for a person: why the machine did not decide by itself.

    Of a `sampled` one it did: the result is published, and a person looks whether it is right. In a ranked
    queue the lowest `rank` comes first: the score of the answer, 0 without one.
    """

    id: UUID
    reasons: tuple[str, ...]
    sampled: bool = False
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """One revision of what an event came to. `data` is the extraction as JSON, None without one.

    `evidence` says by path (`amount`, `parties[0]`) what each value rests on: verdict, start, end, score.
    """

    id: UUID
    event_id: UUID
    revision: int
    workflow: str
    version: str
    state: str
    reasons: tuple[str, ...]
    decided_at: datetime
    supersedes: int | None = None
    data: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None
    model: str | None = None
    cost_micros: int | None = None

    @property
    def outcome(self) -> Outcome | None:
        """None for a reopened event: it is in flight again."""
        return None if self.state == REOPENED else Outcome(self.state)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Holds when the event does not exist yet: for what is dead at the door."""


@dataclass(frozen=True, slots=True)
class ClaimToken:
    """Holds while the claim that handed out this token is the event's last one."""

    token: UUID


@dataclass(frozen=True, slots=True)
class ExpectedRevision:
    """Holds while the newest revision is this one and nothing works on the event: for people."""

    revision: int


Guard = NewEvent | ClaimToken | ExpectedRevision


@dataclass(frozen=True, slots=True)
class Asked:
    """What models had to do with a decision: who was asked last, and when, and whether one answered.

    `answered_by_first`: no other model of the chain was asked.
    """

    model: str
    at: datetime
    answered: bool
    answered_by_first: bool


@dataclass(frozen=True, slots=True)
class Changeset:
    """A decision on one event. `reopen` puts the event back to work; it is set for people only.

    `charge` settles what the claim has reserved and not settled yet; `asked` is None where no model was.
    `indexed` are the fields of the result that it can be found by, and that stay readable although the event
    has a subject.
    """

    event: Received
    guard: Guard
    result: Result
    audit: tuple[AuditRecord, ...]
    outbox: tuple[OutboxMessage, ...] = ()
    review: ReviewItem | None = None
    reopen: bool = False
    charge: Charge = NO_CHARGE
    asked: Asked | None = None
    indexed: tuple[str, ...] = ()
