"""A small workflow, and builders and fakes around it: each test names only what it is about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from pydantic import Field

from pipeline import Workflow
from pipeline.assemble import Call, Prepared, Ticket
from pipeline.assess import Guard
from pipeline.cache import UNCACHED, Parameters
from pipeline.case import World
from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.extract import Rung
from pipeline.ports import Cache
from pipeline.receive import Stamp, canonical
from pipeline.spend import Rate, Reservation, Room
from pipeline.workflow import AnyWorkflow
from schemas import Answer, Decision, Event, Extraction, Money, Text, accept, reject, review
from schemas.changeset import Actor, Scribe
from schemas.event import Identity, Origin, Received
from schemas.extraction import Attempt, Reading, Request, Usage

NOW: Final = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)
STAMP: Final = Stamp(secret=b"secret of the tests", salt=bytes(range(16)))
SCRIBE: Final = Scribe(Actor("service", "worker"), release="0.0.0", max_message_bytes=1_000_000)
TOKEN: Final = UUID(int=7)
GUARD: Final = Guard(key=b"key of the tests", secrets=frozenset({"sk-of-the-tests"}))

X = TypeVar("X", bound=Extraction)


class Note(Event):
    text: Annotated[str, Text(1_000)]


class Facts(Extraction):
    city: Annotated[str, Text(100)] | None = Field(description="The city; null if none is named.")
    amount: Money | None = Field(description="The amount, such as 12.50; null if none is named.")


def policy(note: Note, answer: Answer[Facts]) -> Decision:
    if answer.value.city is None:
        return reject("no city")
    if answer.value.amount is None or answer.value.amount > 100:
        return review("the amount is large or missing")
    return accept()


NOTES: Final = Workflow(
    name="notes",
    consumes="notes.written.v1",
    produces="notes.facts.v1",
    event=Note,
    extraction=Facts,
    text=lambda note: note.text,
    prompt="Find the city and the amount.",
    models=("fast", "strong"),
    policy=policy,
)


def workflow(**changes: Any) -> AnyWorkflow:
    """The notes workflow, declared differently."""
    return replace(NOTES, **changes)


def entry(declaration: AnyWorkflow = NOTES, version: str = "5" * 64) -> Entry:
    return Entry(declaration, instructions=str(declaration.prompt), content="{}", version=version)


def received(
    data: Mapping[str, Any] | None = None,
    *,
    id: str = "note-1",
    source: str = "tests",
    content: bytes | None = None,
    key: bytes = b"key-1",
    origin: Origin | None = None,
    traceparent: str | None = None,
) -> Received:
    body = canonical(data or {"text": "12.50 for the ferry to Oban"}) if content is None else content
    identity = Identity("notes.written.v1", source, id)
    return Received(
        event_id=identity.event_id,
        identity=identity,
        workflow="notes",
        type="note.written",
        key=key,
        content=body,
        salt=STAMP.salt,
        fingerprint=STAMP.fingerprint(body),
        origin=origin,
        traceparent=traceparent,
    )


def endpoint_of(alias: str, place: str = "here") -> str:
    """The name of an endpoint behind `alias`."""
    return f"{alias}-1@{place}"


def rungs(aliases: Sequence[str] = NOTES.models, *places: str) -> tuple[Rung, ...]:
    """Each alias with an endpoint at each place, `here` unless others are named."""
    return tuple(
        Rung(alias, tuple(endpoint_of(alias, place) for place in places or ("here",))) for alias in aliases
    )


def attempt(
    failure: str | None = None,
    *,
    alias: str = "fast",
    endpoint: str | None = None,
    larger: bool = False,
    step: int = 0,
    answer: Mapping[str, Any] | None = None,
    complaints: tuple[str, ...] = (),
    retry_after_seconds: float | None = None,
    version: str = "5" * 64,
    cost_micros: int | None = 10,
) -> Attempt:
    response = json.dumps(answer or {"city": "Oban", "amount": "12.50"}).encode()
    return Attempt(
        id=UUID(int=step + 1),
        event_id=received().event_id,
        revision=1,
        step=step,
        version=version,
        alias=alias,
        endpoint=endpoint or endpoint_of(alias),
        larger=larger,
        model_asked=f"{alias}-1",
        request=Request(b'{"text":"\0"}', (b"12.50 for the ferry to Oban",)),
        request_sha256=b"\1" * 32,
        started_at=NOW,
        latency_ms=250,
        response=b"" if failure else response,
        failure=failure,
        complaints=complaints,
        retry_after_seconds=retry_after_seconds,
        model_answered=None if failure else f"{alias}-1-2024",
        usage=Usage(100, 20, 0),
        cost_micros=cost_micros,
    )


def claimed(
    event: Received | None = None,
    *,
    attempts: tuple[Attempt, ...] = (),
    revision: int = 1,
    crashes: int = 1,
    reserved: int | None = None,
    faults: int = 0,
) -> Claimed:
    return Claimed(
        event=event or received(),
        token=TOKEN,
        revision=revision,
        accepted_at=NOW,
        crashes=crashes,
        faults=faults,
        attempts=attempts,
        reserved=reserved,
    )


class FakeModel:
    """Gives the `replies` in turn: the reason of a failure, or an answer. Keeps the calls.

    Each alias has an endpoint at each of `places`; `probed` are those that somebody else probes: seen as
    usable once, and not admitted.
    """

    def __init__(
        self,
        *replies: str | Mapping[str, Any],
        places: Sequence[str] = ("here",),
        probed: Sequence[str] = (),
    ) -> None:
        self.replies = list(replies)
        self.places = list(places)
        self.probed = set(probed)
        self.closed: set[str] = set()
        self.calls: list[Call] = []

    def rungs(self, aliases: Sequence[str]) -> tuple[Rung, ...]:
        return tuple(
            replace(rung, endpoints=tuple(name for name in rung.endpoints if name not in self.closed))
            for rung in rungs(aliases, *self.places)
        )

    def room(self, alias: str) -> int | None:
        return 100

    async def refresh(self) -> None:
        return None

    async def admit(self, prepared: Prepared) -> Ticket | None:
        endpoint = prepared.call.endpoint
        if endpoint in self.probed:
            self.closed.add(endpoint)
        return None if endpoint in self.closed else Ticket(endpoint)

    def parameters(self, endpoint: str) -> Parameters:
        return Parameters(endpoint.partition("@")[0], 2_000)

    def rate(self, entry: Entry, instructions: str) -> Rate:
        return Rate(50, 10)

    def prepare(self, call: Call) -> Prepared:
        return Prepared(call, Request(b"", ()), 40, 100)

    async def ask(self, prepared: Prepared, ticket: Ticket) -> Attempt:
        call = prepared.call
        self.calls.append(call)
        reply = self.replies.pop(0)
        failure = reply if isinstance(reply, str) else None
        return attempt(
            failure,
            alias=call.alias,
            endpoint=call.endpoint,
            larger=call.larger,
            step=call.step,
            answer=None if isinstance(reply, str) else reply,
            complaints=("amount: not a string",) if failure == "unusable_output" else (),
        )

    def read(self, entry: Entry, attempt: Attempt) -> Reading:
        return Reading(entry.workflow.extraction.model_validate_json(attempt.response))


class FakeJournal:
    """Remembers what was journalled."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    async def journal(self, attempt: Attempt, event: Received) -> None:
        self.attempts.append(attempt)


class FakeLedger:
    """Says in turn what `rooms` say, then always yes; keeps what was asked of it."""

    def __init__(self, *rooms: Room) -> None:
        self.rooms = list(rooms)
        self.asked: list[Reservation] = []

    async def reserve(self, claimed: Claimed, reservation: Reservation) -> Room:
        self.asked.append(reservation)
        return self.rooms.pop(0) if self.rooms else Room.GRANTED


def world(
    model: FakeModel,
    journal: FakeJournal | None = None,
    ledger: FakeLedger | None = None,
    *,
    cache: Cache = UNCACHED,
) -> World:
    return World(
        model,
        journal or FakeJournal(),
        ledger or FakeLedger(),
        SCRIBE,
        clock=lambda: NOW,
        jitter=lambda: 0.5,
        guard=GUARD,
        cache=cache,
    )


def answer_of(value: X, attempts: Sequence[Attempt] = ()) -> Answer[X]:
    """`value` as if the model had given it."""
    return Answer(value, tuple(attempts) or (attempt(),))
